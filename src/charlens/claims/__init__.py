"""What the paper concludes, put to the test.

judge.py             the list of claims, and the verb that tests them all
losses.py            claims about losses
reach.py             claims about characters that need long reach (figures 4 and 5)
first_epochs.py      the claim about an LSTM early in training (figure 5)
error_causes.py      the claim about errors by size (figure 6)
units.py             claims about units and what they follow (figure 2)
gates.py             claims about gates (figure 3)
evidence.py          what is known of a corpus: models, tables, statistics of a model
measure.py           an effect, its interval, its verdict
page.py              the page of verdicts
contiguous_split.py  what the paper's split is worth
"""
