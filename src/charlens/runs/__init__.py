"""A run: its settings, what it consists of, what it costs, how it is published.

plan.py         settings, their check, and the models of a run
modules.py      which files of the package a rule runs
publish.py      results/reference, made of what a run has
merge.py        two publications become one
reference.py    the layout of a publication, and its page
steps.py        tables and figures that both of them make
status.py       which models are finished
estimate.py     memory and time of jobs
calibrate.py    the speed of this machine
"""
