"""Inside the networks (section 4.2).

activations.py  every gate and state, character by character
selectivity.py  which unit follows which hypothesis
analysis.py     one pass over the test split: saturation, selectivity, passages
unit_tables.py  the tables of what was found
"""
