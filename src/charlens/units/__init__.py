"""Inside the networks (section 4.2).

labels.py        the labels of the characters that a network reads
activations.py   every gate and state, character by character
selectivity.py   which unit follows which hypothesis
parts.py         the unit of a hypothesis of several parts, on each part
baselines.py     what a unit must exceed: an untrained network, the last k characters
ablation.py      the effect of clamping a unit
saturation.py    how often gates are saturated
analysis.py      one pass over the test split: saturation, selectivity, passages
passages.py      the passages of figure 2
probes.py        what all units of a layer tell together
unit_tables.py   the tables of what was found
inside.py        units and gates of any network, in short
inside_table.py  the same of all networks, by type, size and depth
left_out.py      which types are missing from which outputs
emergence.py     skills and units of a network as it is trained
"""
