"""Inside the networks (section 4.2).

activations.py  every gate and state, character by character
selectivity.py  which unit follows which hypothesis
parts.py        the unit of a hypothesis of several parts, on each part
analysis.py     one pass over the test split: saturation, selectivity, passages
unit_tables.py  the tables of what was found
"""
