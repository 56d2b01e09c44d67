"""A run: its settings, what it consists of, what it costs, how it is published.

settings.py          one typed object with all settings of a run
schema.py            the keys of the settings
values.py            types of their values
grid.py              the models of a run
selections.py        what a configuration selects of the grid is there
modules.py           the files of the package that a rule runs
additions.py         settings of the block and the AdamW recipe
cost.py              memory, time and priority of jobs
estimate.py          the speed of this machine, and how long a run takes on it
console.py           what a run prints, and how long it still takes
host.py              GPUs and cores of the machine
snakemake_process.py where Snakemake's jobs run, how it ends, the lock that a killed one leaves
results_folder.py    which run writes to a results folder, and whether it can
slurm.py             what the profile for Slurm asks, jobs that a killed run left behind
workflow_report.py   the report that Snakemake makes of a run
status.py            which models are finished
watch.py             what of a run is done, what runs, and the time left
run_files.py         the files of a run that are up to date
publish.py           results/reference, made from what a run has
merge.py             joining two publications
reference.py         the layout of a publication, and its page
model_cards.py       what a publication says of its networks, texts and itself, for catalogs
redraw.py            figures of a publication, drawn again from the numbers behind them
remake.py            tables and figures that both of these make from losses
"""
