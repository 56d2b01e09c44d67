"""Prose or code: what a text looks like."""

import pytest

from charlens.text.kinds import kind_of

COMMENTS = b"/* A header of\n * comments, as they\n * often are. */\n" * 20 + b"int a;\n" * 5
PROSE = b'He said; "Yes, come (now)!" and\nso on;\n' + b"then he left {quickly}, without a\n" * 30


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"int f(int a)\n{\n\treturn a;\n}\n" * 10, "code"),
        (b"#include <a.h>\n#define A\n\nint a;\n" * 10, "code"),
        (COMMENTS, "code"),
        (PROSE, "prose"),
        (b"# A title\n\n* a point\n* another point\n" * 30, "prose"),
        (b"", "prose"),
    ],
)
def test_the_kind_of_a_text(text, kind):
    assert kind_of(text) == kind
    assert kind_of(text.replace(b"\n", b"\r\n")) == kind
