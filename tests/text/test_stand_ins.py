"""Labels of texts of characters, found by one byte for each."""

import numpy as np
import pytest

from charlens.text.hypotheses import labellings
from charlens.text.own_characters import own_characters
from charlens.text.stand_ins import parsed


def marked(text: str, name: str, kind: str = "prose") -> str:
    """The characters where a yes/no label is yes."""
    labels = labellings(text, kind)[name]
    assert len(labels.values) == len(text)
    return "".join(letter for letter, value in zip(text, labels.values, strict=True) if value == 1)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ('He said "yes" twice.', '"yes'),
        ("He said “yes” twice.", "“yes"),
        ("Он сказал: «да», и ушёл.", "«да"),
        ("Er sagte: „ja“, und ging.", "„ja"),
        ("Er sagte: »ja«, und ging.", "»ja"),
        ("Mówi: „tak”, i wyszedł.", "„tak"),
        ("他说：“是的”，就走了。", "“是的"),
        ("彼は「はい」と言った。", "「はい"),
        ("«Он ответил „нет“ и ушёл», — сказала она.", "«Он ответил „нет“ и ушёл"),
        ("it’s ‘single’", ""),
    ],
)
def test_quotations_of_many_styles(text, inside):
    assert marked(text, "quote") == inside


def test_a_byte_text_is_its_own_stand_in():
    text = "«da» é".encode()
    assert parsed(text) is text
    assert not labellings(text, "prose")["quote"].values.any()


def test_counts_are_of_characters():
    text = "Это\n   ёж 世界\n"
    labels = labellings(text, "prose")
    assert labels["line_position"].values.tolist() == [1, 2, 3, 0, *range(1, 9), 0]
    assert labels["indentation"].values.tolist() == [0, 0, 0, 0, 1, 2, 3, 3, 3, 3, 3, 3, 0]


def test_full_width_parentheses_and_capitals():
    assert marked("他（很好）来", "parenthesis") == "（很好"
    assert marked("мы, Анна Élise и ёж; Ǆ", "capitalised") == "АннаÉliseǄ"
    assert marked("İstanbul’da Ünlü", "capitalised") == "İstanbulÜnlü"


def test_an_ideographic_space_is_blank():
    assert labellings("\u3000\u3000他\n", "prose")["indentation"].values.tolist() == [1, 2, 2, 0]


def test_own_characters_of_a_quotation_are_whole():
    text = "«да», «нет»"
    labels = labellings(text, "prose")
    own = own_characters("quote", parsed(text), labels["quote"])
    assert [text[at] for at in np.flatnonzero(own)] == ["»", "»"]


def test_code_with_comments_in_another_script():
    text = "int ü(void)\n{\n\t/* Привет, “мир” */ if (a) { b('ж', \"世\"); }\n}\n"
    assert marked(text, "comment_or_quote", "code").startswith("* Привет, “мир” *")
    assert marked(text, "if_condition", "code") == "(a"
    distance = labellings(text, "code")["brace_distance"]
    begin = text.index("{")
    assert distance.values[begin + 5] == 5
