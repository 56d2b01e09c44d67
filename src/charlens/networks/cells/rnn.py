"""Vanilla recurrent network (section 3): h_t = tanh(W [x_t; h_{t-1}])."""

VERSION = 1  # of these equations, see networks/version.py
GATES = 1
STATES = ("h",)


def recurrent_shapes(hidden):
    """Shapes of the recurrent parameters by name; hidden: H (see `cells`)."""
    return {"w_h": (hidden, hidden)}


def step(a, state, p):
    """One step: the new state, a tuple of [S, H], from a [S, H] and the old one."""
    (h,) = state
    return (a.addmm(h, p["w_h"]).tanh(),)
