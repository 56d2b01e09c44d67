"""Tables and figures of the paper, and the pages that show them.

tables.py       tables 1 and 2
comparison.py   both beside the paper's numbers
figure1.py ...  figures 1 to 6
html.py         what all pages share; templates/, their markup
plots.py        what all figures share
"""
