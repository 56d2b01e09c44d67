"""Long short-term memory, without peepholes (section 3).

(i, f, o, g) = (sigm, sigm, sigm, tanh) W [x_t; h_{t-1}]
c_t = f * c_{t-1} + i * g
h_t = o * tanh(c_t)
"""

VERSION = 1  # of these equations, see networks/version.py
GATES = 4  # i, f, o, g
GATE_NAMES = ("i", "f", "o", "g")
STATES = ("h", "c")


def recurrent_shapes(hidden):
    """Shapes of the recurrent parameters by name; hidden: H (see `cells`)."""
    return {"w_h": (hidden, 4 * hidden)}


def gates_and_state(a, state, p):
    """The same step: (gates, new state), tuples of [S, H] as in GATE_NAMES and STATES."""
    h, c = state
    hidden = h.shape[1]
    a = a.addmm(h, p["w_h"])
    i, f, o = a[:, : 3 * hidden].sigmoid().chunk(3, dim=1)
    g = a[:, 3 * hidden :].tanh()
    c = f * c + i * g
    gates = (i, f, o, g)
    return gates, (output(gates, c), c)


def output(gates, c):
    """h from the gates, as in GATE_NAMES, and c; tensors of one shape."""
    return gates[2] * c.tanh()


def step(a, state, p):
    """One step: the new state, a tuple of [S, H], from a [S, 4 H] and the old one."""
    return gates_and_state(a, state, p)[1]
