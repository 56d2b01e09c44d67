"""Readers of the files that stages of the pipeline pass to each other.

models.py       identity of a model: its key, path and label; the rule for the best one
cell_files.py   what the file of a cell type says, from its text
scores.py       score arrays and their digests
corpora.py      provenance, texts and splits
tables.py       tables of the pipeline, and the paper's numbers (paper.csv, paper_text.csv)
found.py        units found inside the networks
reading.py      JSON files with required keys
"""
