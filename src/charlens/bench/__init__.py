"""Training speed, equal quality of the fast and the reference backend, and what a machine can do.

speed.py        training beside stock torch
types.py        training of every cell type, step by step and by the window
gpu.py          training on a GPU beside torch.nn there
peers.py        what else trains the same networks, and the share of the peak of each
rules.py        CPU seconds, time and memory of every rule of a run
equal.py        test losses of the fast backend beside those of the reference
doctor.py       what this machine has, which backend it uses, whether that works
machine.py      what it has
checks.py       whether a GPU trains as it should, and how fast
"""
