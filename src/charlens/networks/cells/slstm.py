"""sLSTM: an exponential input gate, and a state that mixes (Beck, Pöppel, Spanring, Auer,
Prudnikova, Kopp, Klambauer, Brandstetter, Hochreiter 2024, "xLSTM: extended long short-term
memory", arXiv:2405.04517, section 2.2, equations 8 to 17), with one head.

(i~, f~, o~, z~) = W x_t + R h_{t-1} + b                                   (11 to 14)
m_t = max(log f_t + m_{t-1}, i~)             the stabiliser, with f_t = sigm(f~)  (15)
i'_t = exp(i~ - m_t);  f'_t = exp(log f_t + m_{t-1} - m_t)                 (16, 17)
c_t = f'_t * c_{t-1} + i'_t * tanh(z~)                                     (8)
n_t = f'_t * n_{t-1} + i'_t                  the normaliser                (9)
h_t = sigm(o~) * c_t / n_t                                                 (10)

The memory here is the ratio c_t / n_t, a weighted mean of all candidates so far, in -1 to 1:
c_t/n_t = c_{t-1}/n_{t-1} + i'_t/n_t * (tanh(z~) - c_{t-1}/n_{t-1}). These are the same numbers, and
unlike c alone they mean the same whatever the stabiliser is. It begins at 0 with n_0 = m_0 = 0.
So do the gates that are shown: i'_t/n_t, the share of the memory that is new, and f'_t n_{t-1}/n_t,
the share that is kept, which is 1 minus it. (Of i' and f' themselves one is 1 at every step.)
The forget gate is a sigmoid, one of the two choices of (15). It begins open: its biases are spread
over 3 to 6 (the paper's code does alike).
"""

import torch
from torch.nn.functional import logsigmoid

NAME = "sLSTM"
VERSION = 1  # of these equations, see networks/version.py
GATES = 4  # i, f, o, z
GATE_NAMES = ("i", "f", "o", "g")  # i'/n, 1 - i'/n, o, and the candidate tanh(z~)
STATES = ("h", "c", "n", "m")  # c: the ratio
MEMORY = "c"
BOUNDED = True
LEAST = -87.0  # of log i', as compiled: n begins at 0, and i / n would be 0 / 0 were i' 0, too


def recurrent_shapes(hidden):
    """Shapes of the recurrent parameters by name; hidden: H (see `cells`)."""
    return {"w_h": (hidden, 4 * hidden)}


def initial(hidden, generator):
    """Biases: forget gates open, all others 0."""
    b = torch.zeros(4, hidden)
    b[1] = torch.linspace(3, 6, hidden)
    return {"b": b.flatten()}


def gates_and_state(a, state, p):
    """The same step: (gates, new state), tuples of [S, H] as in GATE_NAMES and STATES."""
    h, c, n, m = state
    i, f, o, z = torch.addmm(a, h, p["w_h"]).chunk(4, dim=1)
    log_f = logsigmoid(f)
    new_m = torch.maximum(log_f + m, i)
    i, f = torch.exp((i - new_m).clamp(min=LEAST)), torch.exp(log_f + m - new_m)
    o, g = torch.sigmoid(o), torch.tanh(z)
    n = f * n + i
    new = i / n
    c = torch.lerp(c, g, new)
    gates = (new, 1 - new, o, g)
    return gates, (output(gates, c), c, n, new_m)


def output(gates, c):
    """h from the gates, as in GATE_NAMES, and the ratio c; tensors of one shape."""
    return gates[2] * c


def step(a, state, p):
    """One step: the new state, a tuple of [S, H], from a [S, 4 H] and the old one."""
    return gates_and_state(a, state, p)[1]
