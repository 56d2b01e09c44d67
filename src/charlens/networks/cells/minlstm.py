"""Minimal long short-term memory (Feng, Tung, Ahmed, Bengio, Hajimirsadeghi 2024, "Were RNNs all we
needed?", arXiv:2410.01201, section 3.2).

(f_t, i_t) = sigm(W_f x_t), sigm(W_i x_t)
f'_t = f_t / (f_t + i_t);  i'_t = i_t / (f_t + i_t)
h_t = f'_t * h_{t-1} + i'_t * g_t            with the candidate g_t = W_h x_t, without a tanh

Neither gates nor candidate see the state, so a window is one product and a scan. f' is computed as
sigm(log f - log i), which is the same and never divides by zero.
"""

import torch
from torch.nn.functional import logsigmoid

from charlens.networks.recurrence import linear_recurrence

NAME = "minLSTM"
VERSION = 1  # of these equations, see networks/version.py
GATES = 3  # f, i, g
GATE_NAMES = ("i", "f")  # i' and f', which add up to 1
STATES = ("h",)
BOUNDED = False


def recurrent_shapes(hidden):
    """There are no recurrent parameters."""
    return {}


def terms(a):
    """i' and f', and what is added to f' h, from a [..., 3 H]."""
    f, i, g = a.chunk(3, dim=-1)
    ratio = logsigmoid(f) - logsigmoid(i)
    i, f = torch.sigmoid(-ratio), torch.sigmoid(ratio)
    return i, f, i * g


def gates_and_state(a, state, p):
    """The same step: (gates, new state), tuples of [S, H] as in GATE_NAMES and STATES."""
    i, f, add = terms(a)
    return (i, f), (torch.addcmul(add, f, state[0]),)


def step(a, state, p):
    """One step: the new state, a tuple of [S, H], from a [S, 3 H] and the old one."""
    return gates_and_state(a, state, p)[1]


def scan(a, state, p):
    """All steps of a window: h [T, S, H] and the new state, from a [T, S, 3 H] and the old one."""
    _, f, add = terms(a)
    h = linear_recurrence(f, add, state[0])
    return h, (h[-1],)
