"""Mamba: a selective state space (Gu and Dao 2023, "Mamba: linear-time sequence modeling with
selective state spaces", arXiv:2312.00752, equation 2 and algorithm 2; the layer: figure 3).

(u_t, z_t) = W x_t                           each E = 2 H wide
u'_t = silu(sum over j < 4 of c_j * u_{t-j} + c_b)     a convolution for each number alone
(d_t, B_t, C_t) = W_d u'_t                   ceil(H / 16), N = 16 and 16 numbers
D_t = softplus(W_t d_t + b_t)                the step size, [E]
s_t = exp(D_t A) * s_{t-1} + (D_t u'_t) B_t            [E, N]; A = -exp(A_log)     (2a)
y_t = s_t C_t + D * u'_t                               (2b), with the authors' D
h_t = (y_t * silu(z_t)) W_o

exp(D_t A) is equation 4; in place of its factor of B, (D_t A)^-1 (exp(D_t A) - 1) D_t, stands D_t,
as in the authors' code. The step size, B and C depend on the input alone, so a window is one
product and a scan. The state is expanded, 2 H x 16 numbers, and belongs to no unit; what is shown
and clamped of a unit is its output h. As in the authors' code, A begins as -1 to -16 in each row, D
as 1, and b_t so that the step sizes are log-uniform in 0.001 to 0.1.
"""

import math

import torch
from torch.nn.functional import silu, softplus
from torch.utils.checkpoint import checkpoint

from charlens.networks.recurrence import linear_recurrence

NAME = "Mamba"
VERSION = 1  # of these equations, see networks/version.py
GATES = 4  # u and z, each twice as wide as the layer
STATES = ("h", "s", "u")  # u: the last three of the convolution's inputs
MEMORY = "h"
BOUNDED = False
N, WIDTH, RANK = 16, 4, 16  # numbers per channel; steps of the convolution; H per number of d
PIECE = 5  # steps


def state_shapes(hidden):
    """Shapes of the states that are not one number per unit."""
    return {"s": (2 * hidden, N), "u": (WIDTH - 1, 2 * hidden)}


def recurrent_shapes(hidden):
    """Shapes of the other parameters by name; hidden: H (see `cells`)."""
    rank = math.ceil(hidden / RANK)
    return {
        "c": (WIDTH, 2 * hidden),
        "c_b": (2 * hidden,),
        "w_d": (2 * hidden, rank + 2 * N),
        "w_t": (rank, 2 * hidden),
        "b_t": (2 * hidden,),
        "A_log": (2 * hidden, N),
        "D": (2 * hidden,),
        "w_o": (2 * hidden, hidden),
    }


def initial(hidden, generator):
    """The step sizes, A and D."""
    size = torch.empty(2 * hidden).uniform_(math.log(0.001), math.log(0.1), generator=generator)
    size = size.exp()
    return {
        "b_t": size + torch.log(-torch.expm1(-size)),  # the inverse of softplus
        "A_log": torch.arange(1.0, N + 1).log().repeat(2 * hidden, 1),
        "D": torch.ones(2 * hidden),
    }


def convolved(u, p):
    """u' [T, S, E] of the inputs u [3 + T, S, E], of which the first three precede the window."""
    steps = len(u) - (WIDTH - 1)
    parts = (u[WIDTH - 1 - j : WIDTH - 1 - j + steps] * p["c"][j] for j in range(WIDTH))
    return silu(sum(parts) + p["c_b"])


def selective_scan(d, u, z, B, C, A, D, s):
    """y_t * silu(z_t) [T, S, E] of all steps and the last s [S, E, N].

    d: the step sizes before the softplus. d, u (u' above), z: [T, S, E]. B, C: [T, S, N].
    A: [E, N]. D: [E]. s: before the first step, [S, E, N].
    """
    size = softplus(d)
    keep = torch.exp(size[..., None] * A)  # [T, S, E, N]
    s = linear_recurrence(keep, (size * u)[..., None] * B[..., None, :], s)
    y = (s @ C[..., None]).squeeze(-1) + D * u
    return y * silu(z), s[-1]


def scan(a, state, p):
    """All steps of a window: h [T, S, H] and the new state, from a [T, S, 4 H] and the old one.

    PIECE steps at a time, and once more for the gradient: the expanded states of a whole window
    would not fit into any cache. A GPU has other memory, and few large kernels suit it better.
    """
    if a.is_cuda:
        return one_piece(a, state, p)
    h = []
    for piece in a.split(PIECE):
        out, state = checkpoint(
            one_piece, piece, state, p, use_reentrant=False, preserve_rng_state=False
        )
        h.append(out)
    return torch.cat(h), state


def one_piece(a, state, p, selective_scan=selective_scan):
    """The same in one piece. selective_scan: the implementation to use."""
    _, s, before = state
    u, z = a.chunk(2, dim=-1)
    u = torch.cat([before.transpose(0, 1), u])
    last, u = u[-(WIDTH - 1) :].transpose(0, 1), convolved(u, p)
    d, B, C = (u @ p["w_d"]).split([len(p["w_t"]), N, N], dim=-1)
    d = d @ p["w_t"] + p["b_t"]
    y, s = selective_scan(d, u, z, B, C, -torch.exp(p["A_log"]), p["D"], s)
    h = y @ p["w_o"]
    return h, (h[-1], s, last)


def step(a, state, p):
    """One step: the new state from a [S, 4 H] and the old one; a window of one character."""
    return one_piece(a[None], state, p)[1]
