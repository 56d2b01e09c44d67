"""A run: its settings, what it consists of, what it costs, how it is published.

plan.py         settings, their check, and the models of a run
modules.py      which files of the package a rule runs
publish.py      results/reference
cost.py         memory and priority of jobs
estimate.py     the speed of this machine, and how long a run takes on it
"""
