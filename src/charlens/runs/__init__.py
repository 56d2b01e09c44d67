"""A run: its settings, what it consists of, what it costs, how it is published.

settings.py     one typed object with all settings of a run; schema.py: what may stand in it
grid.py         the models of a run
host.py         GPUs of the machine, the lock of a results folder
status.py       which models are finished
modules.py      which files of the package a rule runs
publish.py      results/reference
cost.py         memory and priority of jobs
estimate.py     the speed of this machine, and how long a run takes on it
"""
