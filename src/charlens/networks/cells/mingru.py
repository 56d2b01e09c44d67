"""Minimal gated recurrent unit (Feng, Tung, Ahmed, Bengio, Hajimirsadeghi 2024, "Were RNNs all we
needed?", arXiv:2410.01201, section 3.1).

z_t = sigm(W_z x_t)
g_t = W_h x_t                                the candidate, without a tanh
h_t = (1 - z_t) * h_{t-1} + z_t * g_t

Neither gate nor candidate sees the state, so a window is one product and a scan. (The paper's
language models also train a variant in log space with a positive candidate; this is not that.)
"""

import torch

from charlens.networks.recurrence import linear_recurrence

NAME = "minGRU"
VERSION = 1  # of these equations, see networks/version.py
GATES = 2  # z, g
GATE_NAMES = ("z",)
STATES = ("h",)
BOUNDED = False


def recurrent_shapes(hidden):
    """There are no recurrent parameters."""
    return {}


def terms(a):
    """z, and what is kept of h and added to it, from a [..., 2 H]."""
    z, g = a.chunk(2, dim=-1)
    z = torch.sigmoid(z)
    return z, 1 - z, z * g


def gates_and_state(a, state, p):
    """The same step: (gates, new state), tuples of [S, H] as in GATE_NAMES and STATES."""
    z, keep, add = terms(a)
    return (z,), (torch.addcmul(add, keep, state[0]),)


def step(a, state, p):
    """One step: the new state, a tuple of [S, H], from a [S, 2 H] and the old one."""
    return gates_and_state(a, state, p)[1]


def scan(a, state, p):
    """All steps of a window: h [T, S, H] and the new state, from a [T, S, 2 H] and the old one."""
    _, keep, add = terms(a)
    h = linear_recurrence(keep, add, state[0])
    return h, (h[-1],)
