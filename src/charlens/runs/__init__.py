"""A run: its settings, what it consists of, what it costs, how it is published.

settings.py     one typed object with all settings of a run
schema.py       what may stand in the settings
grid.py         the models of a run
modules.py      which files of the package a rule runs
cost.py         memory and priority of jobs
estimate.py     the speed of this machine, and how long a run takes on it
host.py         GPUs of the machine, the lock of a results folder
status.py       which models are finished
publish.py      results/reference, made of what a run has
merge.py        two publications become one
reference.py    the layout of a publication, and its page
steps.py        tables and figures that both of them make
"""
