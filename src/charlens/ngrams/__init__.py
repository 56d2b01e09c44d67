"""n-gram models by KenLM (section 4.1, table 2).

build.py        compile KenLM from its source distribution
kenlm.py        run a compiled KenLM
fit.py          fit a model to the training streams
score.py        score the test streams with it
"""
