"""n-gram models by KenLM (section 4.1, table 2).

build.py        compile KenLM from its source distribution
kenlm.py        run a compiled KenLM
estimate.py     estimate a model of the training streams
score.py        score the test streams with it
"""
