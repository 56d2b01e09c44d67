"""Gated recurrent unit as the paper has it (section 3; not the variant of torch.nn.GRU).

(r, z) = sigm W_r [x_t; h_{t-1}]
g = tanh(W_x x_t + W_g (r * h_{t-1}))        the reset gate acts before the product
h_t = (1 - z) * h_{t-1} + z * g

W_x and W_g are two linear maps, so each has a bias: `b_g` is that of W_g.
"""

import torch

VERSION = 1  # of these equations, see networks/version.py
GATES = 3  # r, z, g
GATE_NAMES = ("r", "z", "g")
STATES = ("h",)


def recurrent_shapes(hidden):
    """Shapes of the recurrent parameters by name; hidden: H (see `cells`)."""
    return {"w_h": (hidden, 2 * hidden), "w_g": (hidden, hidden), "b_g": (hidden,)}


def gates_and_state(a, state, p):
    """The same step: (gates, new state), tuples of [S, H] as in GATE_NAMES and STATES."""
    (h,) = state
    hidden = h.shape[1]
    r, z = torch.sigmoid(torch.addmm(a[:, : 2 * hidden], h, p["w_h"])).chunk(2, dim=1)
    g = torch.tanh(a[:, 2 * hidden :] + torch.addmm(p["b_g"], r * h, p["w_g"]))
    return (r, z, g), (torch.lerp(h, g, z),)


def step(a, state, p):
    """One step: the new state, a tuple of [S, H], from a [S, 3 H] and the old one."""
    return gates_and_state(a, state, p)[1]
