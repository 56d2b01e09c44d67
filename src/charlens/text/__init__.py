"""Analyses of a text alone: its symbols, comments, quotes, braces, the hypotheses about units.

unicode.py          what a model predicts: bytes or characters
symbols.py          the symbols of a text as numbers and as codes
stand_ins.py        a byte for each character, by which labels are found
lexer.py            the tokens of C: comments, literals, preprocessor lines
braces.py           the brace matcher
hypotheses.py       the list of hypotheses (section 4.2)
labels.py           labels of any text, one per character
own_characters.py   the characters that a hypothesis is about
prose.py            labels of prose
code.py             labels of C and C++
kinds.py            prose or code, from the looks of a text
line_ends.py        LF or CRLF
utf8.py             which bytes may follow in UTF-8
"""
