"""The paper's conclusions, put to the test.

catalog.py             the list of claims
judge.py               the verb that tests them all
losses.py              claims about losses of recurrent networks (table 1)
baselines.py           claims about n-gram and n-NN (table 2)
deviation_and_size.py  claims about the bootstrap deviation and the size of files
likeness.py            the claim about networks that predict alike (figure 1)
reach.py               claims about long-range dependencies (figures 4 and 5)
first_epochs.py        claims about an LSTM early in training (figure 5)
error_causes.py        the claim about errors by size (figure 6)
units.py               claims about units and the hypotheses they follow (figure 2)
ablation.py            the claim about units that are used (ablation)
gates.py               claims about gates (figure 3)
over_networks.py       what a claim about one network is in all that were measured
types.py               claims about losses of the types that the paper does not have
types_skills.py        claims about what these learn, and about their errors
types_inside.py        claims about their units and first epochs
types_figure.py        losses of all types at equal parameters, in a figure
evidence.py            what claims are tested on: models, tables, statistics of a model
measure.py             effects, their intervals and verdicts
seeds.py               how much a number varies with the seed
published.py           published findings in place of what cannot be tested here
page.py                the page of verdicts
contiguous_split.py    the effect of the paper's split on losses
"""
