"""Analyses of a text alone: comments, quotes, braces, and the hypotheses about units.

lexer.py            the tokens of C: comments, literals, preprocessor lines
braces.py           the brace matcher
hypotheses.py       the list of hypotheses (section 4.2)
labels.py           labels of any text, one per character
own_characters.py   the characters that a hypothesis is about
prose.py            labels of prose
code.py             labels of C and C++
"""
