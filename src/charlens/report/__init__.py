"""Tables and figures of the paper, and the pages that show them.

tables.py          tables 1 and 2
comparison.py      both beside the paper's numbers, and the numbers of its text
discrepancies.py   what is far from the paper's numbers, and why
reshuffles.py      losses on other orders of a corpus's files
overview.py        report.html, the short report of a run
figure1.py ...     figures 1 to 6
ablation.py        what clamped units change
emergence.py       when skills and units appear
errors_by_size.py  the errors of figure 6 over all types, depths and sizes
html.py            what all pages share; templates/, their markup
plots.py           what all figures share
fonts.py           fonts for characters that the figures' own lacks
"""
