"""Corpora.

corpus.py       bring a text from a source that delivers, and check it
split.py        cut it into training, validation and test streams (section 4.1)
"""
