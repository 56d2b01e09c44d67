"""mLSTM: a matrix for a memory, which stores values under keys (Beck, Pöppel, Spanring, Auer,
Prudnikova, Kopp, Klambauer, Brandstetter, Hochreiter 2024, "xLSTM: extended long short-term
memory", arXiv:2405.04517, section 2.3, equations 19 to 27, and appendix A.3), with one head.

q_t, v_t = W_q x_t + b_q, W_v x_t + b_v      (22, 24);  k_t = (W_k x_t + b_k) / sqrt(H)  (23)
o_t = sigm(W_o x_t + b_o)                    (27)
(i~_t, f~_t) = W_g [q_t; k_t sqrt(H); v_t] + b_g                    one number each
m_t = max(log f_t + m_{t-1}, i~_t)           the stabiliser, with f_t = sigm(f~_t)  (15)
i'_t = exp(i~_t - m_t);  f'_t = exp(log f_t + m_{t-1} - m_t)        (16, 17)
C_t = f'_t C_{t-1} + i'_t k_t v_t^T          [H, H], the transpose of the paper's (19)
n_t = f'_t n_{t-1} + i'_t k_t                (20)
h_t = o_t * (q_t C_t) / max(|q_t n_t|, exp(-m_t))                   (21)

In the paper the bias of k is not scaled (23), and i~ and f~ are linear in the layer's input (25,
26); here they read q, k and v, as in the authors' code. The bound 1 in (21) is exp(-m_t) here,
since C and n are scaled by that. Nothing sees the state h, so a window is read at once by the
paper's parallel form, from the memory that the window before it left.

The memory is no number per unit; what is shown and clamped of a unit is its output h.
"""

import math

import torch
from torch.nn.functional import logsigmoid

NAME = "mLSTM"
VERSION = 1  # of these equations, see networks/version.py
GATES = 4  # q, k, v, o
GATE_NAMES = ("o",)
STATES = ("h", "C", "n", "m")
MEMORY = "h"
BOUNDED = False


def state_shapes(hidden):
    """Shapes of the states that are not one number per unit: the matrix and the stabiliser."""
    return {"C": (hidden, hidden), "m": (1,)}


def recurrent_shapes(hidden):
    """Shapes of the gates' parameters by name; hidden: H (see `cells`)."""
    return {"w_g": (3 * hidden, 2), "b_g": (2,)}


def initial(hidden, generator):
    """The forget gate begins open."""
    return {"b_g": torch.tensor([0.0, 4.0])}


def terms(a, p):
    """q, k, v, o [..., H], and i~ and log f [..., 1], from a [..., 4 H]."""
    hidden = a.shape[-1] // 4
    q, k, v, o = a.chunk(4, dim=-1)
    i, f = (a[..., : 3 * hidden] @ p["w_g"] + p["b_g"]).split(1, dim=-1)
    return q, k / math.sqrt(k.shape[-1]), v, torch.sigmoid(o), i, logsigmoid(f)


def least(m):
    """exp(-m), which the normaliser is at least; bounded, so that it is no infinity in float32."""
    return torch.exp(-m.clamp(min=-60))


def gates_and_state(a, state, p):
    """One step: (gates, new state), from a [S, 4 H] and the old state."""
    _, C, n, m = state
    q, k, v, o, i, log_f = terms(a, p)
    new_m = torch.maximum(log_f + m, i)
    i, f = torch.exp(i - new_m), torch.exp(log_f + m - new_m)
    C = f[..., None] * C + (i * k)[..., None] * v[..., None, :]
    n = f * n + i * k
    size = (q * n).sum(dim=-1, keepdim=True).abs()
    h = o * (q[..., None, :] @ C).squeeze(-2) / torch.maximum(size, least(new_m))
    return (o,), (h, C, n, new_m)


def step(a, state, p):
    """One step: the new state from a [S, 4 H] and the old one."""
    return gates_and_state(a, state, p)[1]


def scan(a, state, p):
    """All steps of a window: h [T, S, H] and the new state, from a [T, S, 4 H] and the old one."""
    _, C, n, m = state
    q, k, v, o, i, log_f = (term.transpose(0, 1) for term in terms(a, p))  # [S, T, ...]
    F = log_f.cumsum(dim=1)  # log of what is left of C_0 at each step, [S, T, 1]
    left = F - F.mT + i.mT  # log weight of what step s stored, at step t: [S, T, T]
    left = left.masked_fill(torch.ones_like(left[0], dtype=torch.bool).triu(1), -math.inf)
    old = F + m[:, None]  # of what was stored before the window
    new_m = torch.maximum(left.amax(dim=2, keepdim=True), old)
    weights = torch.exp(left - new_m) * (q @ k.mT)
    old = torch.exp(old - new_m)
    size = weights.sum(dim=2, keepdim=True) + old * (q @ n[..., None])
    h = o * (weights @ v + old * (q @ C)) / torch.maximum(size.abs(), least(new_m))
    stored = torch.exp(left[:, -1, :, None] - new_m[:, -1:]) * k  # of each step, at the last
    C = old[:, -1:] * C + stored.mT @ v
    n = old[:, -1] * n + stored.sum(dim=1)
    h = h.transpose(0, 1)
    return h, (h[-1], C, n, new_m[:, -1])
