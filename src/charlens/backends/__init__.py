"""Backends: who does the arithmetic.

selection.py    which backend a network runs on, and the calls that all have
base.py         what backends share
reference.py    plain torch
cuda.py         an NVIDIA card, through CUDA graphs
cards.py        which card a process takes
cpu/            the compiled code
compiler.py     the C++ compiler of this machine
"""
