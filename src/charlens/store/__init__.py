"""The files that parts of the pipeline hand to each other, and who reads them.

models.py       which model is meant: its name, path and label; which one is the best
scores.py       score arrays and their digests
corpora.py      provenance, texts and splits
tables.py       tables of the pipeline, and the paper's numbers (paper.csv)
found.py        what was found inside the networks
reading.py      JSON files that must hold certain keys
"""
