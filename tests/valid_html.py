"""Is a page well-formed, and does it need nothing from elsewhere?"""

from html.parser import HTMLParser

VOID = {"meta", "link", "col", "br", "img", "hr", "input"}


class Checker(HTMLParser):
    """Collects elements that are not closed in order, ids given twice, and addresses."""

    def __init__(self):
        super().__init__()
        self.open, self.faults, self.ids, self.links = [], [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        given = dict(attributes)
        if len(given) < len(attributes):
            self.faults.append(f"<{tag}> gives an attribute twice, line {self.getpos()[0]}")
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[name] for name in ("href", "src") if name in given]

    def handle_startendtag(self, tag, attributes):
        pass  # in SVG

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else, line {self.getpos()[0]}")


def check(page: str) -> None:
    """Fail unless a page is well-formed HTML that makes no request."""
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert page.startswith("<!DOCTYPE html>")
    assert not checker.faults and not checker.open, (checker.faults, checker.open)
    assert len(set(checker.ids)) == len(checker.ids)
    assert all(
        (link[0] == "#" and link[1:] in checker.ids) or link.startswith("../explorer/")
        for link in checker.links
    ), checker.links
    assert "url(" not in page and "http" not in page and "<script" not in page
