"""Training speed, and equal quality of the fast and the reference backend.

speed.py        training beside stock torch
types.py        training of every cell type, step by step and by the window
rules.py        CPU seconds, time and memory of every rule of a run
equal.py        test losses of the fast backend beside those of the reference
"""
