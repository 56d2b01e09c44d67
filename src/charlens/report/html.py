"""The HTML of all pages: one style, tables, and the words that stand beside every corpus."""

import html

STYLE = """
body { font: 15px/1.45 Georgia, "Times New Roman", serif; color: #1a1a1a; background: white;
       max-width: 62em; margin: 2em auto; padding: 0 1.5em; }
h1 { font-size: 1.5em; font-weight: normal; margin: 0 0 .3em; }
h2 { font-size: 1.2em; font-weight: normal; margin: 2em 0 0; }
p { max-width: 44em; margin: .3em 0; }
p.source, p.note { color: #555; font-size: .87em; }
table { border-collapse: collapse; width: 100%; margin: 1.1em 0 .5em; table-layout: fixed;
        border-top: 1.5px solid; border-bottom: 1.5px solid;
        font-variant-numeric: lining-nums tabular-nums; }
caption { text-align: left; padding-bottom: .35em; font-style: italic; }
th { font-weight: normal; padding: .25em .45em; white-space: nowrap; }
th:first-child { width: 5.6em; text-align: left; }
thead tr:last-child th { border-bottom: 1px solid; }
td { padding: .4em .45em; text-align: center; vertical-align: top; white-space: nowrap; }
tbody tr + tr > * { border-top: 1px solid #ddd; }
.group { border-left: 1px solid #bbb; }
.small { display: block; font-size: .74em; line-height: 1.4; color: #555; }
.best { font-weight: bold; }
@page { size: A4; margin: 11mm; }
@media print { body { margin: 0; padding: 0; font-size: 11.5px; max-width: none; }
               h2 { margin-top: 1.2em; }
               td, th { padding: .25em .2em; }
               .small { font-size: .8em; line-height: 1.3; }
               section, table { break-inside: avoid; } }
"""


PAPER_BYTES = {"wp": 3_258_246, "lk": 6_206_996}


def source_line(corpus: dict) -> str:
    text = f"Text: {corpus['source']} ({corpus['bytes']:,} bytes, {corpus['symbols']} symbols)."
    # A loss on another text is never shown as if it were one on the paper's.
    paper = PAPER_BYTES.get(corpus["corpus"], corpus["bytes"])
    if corpus["bytes"] != paper:
        text += (
            f" It is not the paper's text ({paper:,} bytes), to which the paper's numbers belong."
        )
    return f'<p class="source">{html.escape(text)}</p>'


def networks_head(columns: list[tuple]) -> str:
    """The head of a table whose columns are types and layers, in order."""
    types = dict.fromkeys(type for type, _ in columns)
    spans = "".join(
        f'<th class="group" colspan="{sum(c[0] == t for c in columns)}">{t.upper()}</th>'
        for t in types
    )
    numbers = "".join(f"<th{starts(columns, i)}>{k}</th>" for i, (_, k) in enumerate(columns))
    return f"<tr><th></th>{spans}</tr>\n<tr><th>Size / layers</th>{numbers}</tr>"


def starts(columns: list[tuple], i: int) -> str:
    """Marks the first column of each type."""
    return ' class="group"' if i == 0 or columns[i - 1][0] != columns[i][0] else ""


def document(title: str, style: str, body: str) -> str:
    """A page of its own: `body` with the style of all pages and what this one adds."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def grid(caption: str, head: str, body: str) -> str:
    return (
        f"<table>\n<caption>{caption}</caption>\n"
        f"<thead>\n{head}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"
    )


def small(lines: list[str]) -> str:
    return "".join(f'<span class="small">{line}</span>' for line in lines)


def signed(difference: float) -> str:
    """With three digits and a real minus sign."""
    text = f"{difference:+.3f}"
    return "±0" if float(text) == 0 else text.replace("-", "−")


def megabytes(size: int) -> str:
    return f"{size / 1e6:.3g} MB" if size < 999.5e6 else f"{size / 1e9:.3g} GB"
