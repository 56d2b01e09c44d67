"""What a text says about itself: comments, quotes, braces, and the hypotheses about units.

braces.py       matching braces and brackets of C
labels.py       one label per character for every hypothesis (section 4.2)
"""
