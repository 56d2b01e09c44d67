"""Gated recurrent unit as the paper has it (section 3; not the variant of torch.nn.GRU).

(r, z) = sigm W_r [x_t; h_{t-1}]
g = tanh(W_x x_t + W_g (r * h_{t-1}))        the reset gate acts before the product
h_t = (1 - z) * h_{t-1} + z * g

W_x and W_g are two linear maps, so each has a bias: `b_g` is that of W_g.
"""

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
    r, z = a[:, : 2 * hidden].addmm(h, p["w_h"]).sigmoid().chunk(2, dim=1)
    g = (a[:, 2 * hidden :] + p["b_g"].addmm(r * h, p["w_g"])).tanh()
    return (r, z, g), (h.lerp(g, z),)


def step(a, state, p):
    """One step: the new state, a tuple of [S, H], from a [S, 3 H] and the old one."""
    return gates_and_state(a, state, p)[1]
