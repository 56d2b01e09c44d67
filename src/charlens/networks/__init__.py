"""The networks, in plain torch (section 3).

cells/          types of recurrent cell, one file each (section 3)
architecture.py sizes and parameter budgets
block.py        the optional block around each cell
recurrence.py   a linear recurrence over a window, for cells that scan
arrays.py       parameters and states without torch
network.py      initialisation and forward pass of recurrent networks
nn.py           the n-NN of table 2
model_file.py   models on disk
metadata.py     what a model file may say
own_cell.py     checks of a cell type of the user's own
half.py         half-precision copies
version.py      which version of the computation made a network
"""
