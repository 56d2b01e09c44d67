"""Character-level language models under one instrument.

A reproduction of Karpathy, Johnson and Li, *Visualizing and Understanding Recurrent Networks*
(arXiv 1506.02078, 2015).
"""
