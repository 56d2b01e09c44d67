"""Real-gated linear recurrent unit (De, Smith, Fernando, Botev et al. 2024, "Griffin: mixing gated
linear recurrences with local attention for efficient language models", arXiv:2402.19427, section
2.4, equations 1 to 4, and appendix A).

r_t = sigm(W_a x_t + b_a)                    the recurrence gate (1)
i_t = sigm(W_x x_t + b_x)                    the input gate (2)
a_t = a^(c r_t)  with a = sigm(Lambda), c = 8                       (3)
h_t = a_t * h_{t-1} + sqrt(1 - a_t^2) * (i_t * x_t)                 (4)

In the paper the x_t of these equations is H wide, a linear map of the layer's input. So it is here
in the last one; the gates read the layer's input itself. As in the paper, a is computed in log
space, and Lambda begins so that a^c is uniform in 0.9 to 0.999.
"""

import torch
from torch.nn.functional import logsigmoid

from charlens.networks.recurrence import linear_recurrence

NAME = "RG-LRU"
VERSION = 1  # of these equations, see networks/version.py
GATES = 3  # r, i, and the input x itself
GATE_NAMES = ("r", "i")
GATE_WORDS = {"r": "recurrence"}
STATES = ("h",)
BOUNDED = False
C = 8
LEAST = 1e-8  # of 1 - a^2: below it, the gradient of its root would explode


def recurrent_shapes(hidden):
    """Shapes of the other parameters by name; hidden: H (see `cells`)."""
    return {"lambda": (hidden,)}


def initial(hidden, generator):
    """Lambda of units that forget between a tenth and a thousandth of h at each step."""
    a = torch.empty(hidden).uniform_(0.9, 0.999, generator=generator) ** (1 / C)
    return {"lambda": torch.logit(a)}


def terms(a, p):
    """r and i, and what is kept of h and added to it, from a [..., 3 H]."""
    r, i, x = a.chunk(3, dim=-1)
    r, i = torch.sigmoid(r), torch.sigmoid(i)
    log_a = C * r * logsigmoid(p["lambda"])
    scale = (-torch.expm1(2 * log_a)).clamp(min=LEAST).sqrt()
    return (r, i), torch.exp(log_a), scale * i * x


def gates_and_state(a, state, p):
    """The same step: (gates, new state), tuples of [S, H] as in GATE_NAMES and STATES."""
    gates, keep, add = terms(a, p)
    return gates, (torch.addcmul(add, keep, state[0]),)


def step(a, state, p):
    """One step: the new state, a tuple of [S, H], from a [S, 3 H] and the old one."""
    return gates_and_state(a, state, p)[1]


def scan(a, state, p):
    """All steps of a window: h [T, S, H] and the new state, from a [T, S, 3 H] and the old one."""
    _, keep, add = terms(a, p)
    h = linear_recurrence(keep, add, state[0])
    return h, (h[-1],)
