"""The modern cell types in numpy, float64, straight from their papers' equations, step by step.

The package's versions are held against these, which are written apart from it, for reading.

Each function is one step of a layer: a [S, G*H], x W_x + b; state, a list of arrays; p, the layer's
parameters by name. It returns the new state, the output first.
"""

import numpy as np


def sigm(x):
    return 1 / (1 + np.exp(-x))


def mingru(a, state, p):
    z, g = np.split(a, 2, axis=1)
    return [(1 - sigm(z)) * state[0] + sigm(z) * g]


def minlstm(a, state, p):
    f, i, g = np.split(a, 3, axis=1)
    f, i = sigm(f), sigm(i)
    return [f / (f + i) * state[0] + i / (f + i) * g]


def rglru(a, state, p):
    r, i, x = np.split(a, 3, axis=1)
    decay = sigm(p["lambda"]) ** (8 * sigm(r))
    return [decay * state[0] + np.sqrt(1 - decay**2) * sigm(i) * x]
