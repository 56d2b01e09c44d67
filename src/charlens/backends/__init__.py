"""Backends: who does the arithmetic.

selection.py    which backend a network runs on, and the calls that all of them have
base.py         what the backends share
reference.py    plain torch
cuda.py         an NVIDIA GPU, through CUDA graphs
mamba.py        Mamba on a processor, its scan by the compiled code
windows.py      a layer's whole window at once, in few kernels, for a GPU
gpus.py         which GPU a process takes
cpu/            the compiled code
compiler.py     the C++ compiler of this machine
"""
