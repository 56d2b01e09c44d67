"""n-gram models by KenLM (section 4.1, table 2).

build.py        compile KenLM from its source distribution
ngram.py        estimate a model, and score with it
"""
