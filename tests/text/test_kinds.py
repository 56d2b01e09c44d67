"""Prose or code: what a text looks like."""

import pytest

from charlens.text.kinds import kind_of

COMMENTS = b"/* A header of\n * comments, as they\n * often are. */\n" * 20 + b"int a;\n" * 5
PROSE = b'He said; "Yes, come (now)!" and\nso on;\n' + b"then he left {quickly}, without a\n" * 30

JAVASCRIPT = b"""// the page
export function shown(unit) {
  const rows = units.map((u) => u.row);
  for (const row of rows) {
    if (row.hidden) { continue; }
    draw(row);  /* later */
  }
  return rows.length;
}
"""
RUST = b"""#[derive(Clone)]
pub struct Reader<'a> {
    text: &'a str,
}
impl<'a> Reader<'a> {
    pub fn next(&mut self) -> Option<char> {
        let found = self.text.chars().next()?;
        self.text = &self.text[found.len_utf8()..];
        Some(found)
    }
}
"""
CSS = b"""/* the page */
#unit a:hover { colour: red; }
.row {
  display: flex;
  margin: 0 auto;
}
"""
PERL = b"""sub name {
    my $self = shift;
    # if there is one
    return $self->{name} if $self->known;
    Names::All->add(shift->name);
}
"""


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"int f(int a)\n{\n\treturn a;\n}\n" * 10, "code"),
        (b"#include <a.h>\n#define A\n\nint a;\n" * 10, "code"),
        (COMMENTS, "code"),
        (PROSE, "prose"),
        (b"# A title\n\n* a point\n* another point\n" * 30, "prose"),
        *((text * 20, "prose") for text in (JAVASCRIPT, RUST, CSS, PERL)),
        (b"", "prose"),
    ],
)
def test_the_kind_of_a_text(text, kind):
    assert kind_of(text) == kind
    assert kind_of(text.replace(b"\n", b"\r\n")) == kind


def test_a_long_line_takes_no_long_time():
    """As with a pattern that tries every end of every part."""
    assert kind_of(b"a->b;" * 200_000 + b"$\n" + b"x\n" * 30) == "prose"
