"""A layer of a Transformer that sees the last 100 steps (Vaswani, Shazeer, Parmar, Uszkoreit,
Jones, Gomez, Kaiser, Polosukhin 2017, "Attention is all you need", arXiv:1706.03762, sections 3.1
to 3.3, equations 1 and 2), with rotary positions (Su, Lu, Pan, Murtadha, Wen, Liu 2021, "RoFormer",
arXiv:2104.09864, section 3.2) and the normalisation first (Xiong et al. 2020, "On layer
normalization in the Transformer architecture", arXiv:2002.04745).

x_t = W input_t + b                          H wide: in the first layer, the embedding
q_t, k_t, v_t = norm(x_t) W_q, norm(x_t) W_k, norm(x_t) W_v         in each of 4 heads d wide
head_t = sum over the last 100 steps s of softmax_s(R^(t-s) q_t . k_s / sqrt(d)) v_s      (1)
y_t = x_t + concat(head_t) W_o
h_t = y_t + relu(norm(y_t) W_1 + b_1) W_2 + b_2                     (2), 2 H wide within

R^j rotates pairs of numbers of a key or query by angles proportional to j, so attention sees how
far back a step is. d is H / 4 rounded up to an even number, so that any H will do.
norm: to mean 0 and variance 1, times a gain, plus a bias.

The state is the window: keys and values of the 99 steps before, and whether there were so many. As
with any state, no gradient flows into it from later windows. The layer has a residual connection,
normalisation and a feed-forward part of its own; the optional block adds another. Two things differ
from Xiong et al. without that block: between layers x_t = W h_t + b is no residual connection, and
there is no normalisation before the classifier. What is shown and
clamped of a unit is its output h.
"""

import math

import torch
from torch.nn.functional import layer_norm

NAME = "Transformer"
VERSION = 1  # of these equations, see networks/version.py
GATES = 1  # x
STATES = ("h", "kv", "seen")  # kv: WINDOW - 1 keys and values; seen: 0 before the text, else 1
MEMORY = "h"
BOUNDED = False
WINDOW, HEADS, BASE = 100, 4, 10_000
PIECE = 25  # queries


def state_shapes(hidden):
    """Shapes of the states that are not one number per unit."""
    return {"kv": (WINDOW - 1, 2 * inner_width(hidden)), "seen": (WINDOW - 1,)}


def inner_width(hidden):
    """The width of all heads together: HEADS times an even number, H or a little more."""
    return HEADS * 2 * math.ceil(hidden / HEADS / 2)


def recurrent_shapes(hidden):
    """Shapes of the other parameters by name; hidden: H (see `cells`)."""
    inner = inner_width(hidden)
    return {
        "gain": (2, hidden),
        "bias": (2, hidden),
        "w_qkv": (hidden, 3 * inner),
        "w_o": (inner, hidden),
        "w_1": (hidden, 2 * hidden),
        "b_1": (2 * hidden,),
        "w_2": (2 * hidden, hidden),
        "b_2": (hidden,),
    }


def initial(hidden, generator):
    """The normalisation's gains and biases."""
    return {"gain": torch.ones(2, hidden), "bias": torch.zeros(2, hidden)}


def rotated(x, positions):
    """Pairs of numbers of x [..., T, d], rotated by angles proportional to the positions [T]."""
    half = x.shape[-1] // 2
    rate = BASE ** -(torch.arange(half, device=x.device, dtype=x.dtype) / half)
    angle = positions[:, None] * rate
    a, b = x.split(half, dim=-1)
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1)


def attended(q, kv, seen):
    """concat(head_t) of the last T of n steps: [S, T, inner].

    PIECE queries at a time, with the keys that any of them sees: all at once would not fit into any
    cache. A GPU has other memory, and few large kernels suit it better.

    q: [S, T, inner]. kv: [S, n, 2 inner]. seen: [S, n].
    """
    at = torch.arange(kv.shape[1], device=q.device, dtype=q.dtype)
    first = len(at) - q.shape[1]
    q, k, v = (of.unflatten(2, (HEADS, -1)).transpose(1, 2) for of in (q, *kv.chunk(2, dim=2)))
    q, k = rotated(q, at[first:]) / math.sqrt(q.shape[-1]), rotated(k, at).mT
    heads, piece = [], len(at) if q.is_cuda else PIECE
    for start in range(first, len(at), piece):
        keys = slice(max(0, start - WINDOW + 1), start + piece)
        back = at[start : start + piece, None] - at[keys]
        unseen = (back < 0) | (back >= WINDOW) | (seen[:, None, None, keys] == 0)
        weights = q[:, :, start - first : start - first + piece] @ k[..., keys]
        heads.append(weights.masked_fill(unseen, -math.inf).softmax(dim=-1) @ v[:, :, keys])
    return torch.cat(heads, dim=2).transpose(1, 2).flatten(2)


def scan(a, state, p):
    """All steps of a window: h [T, S, H] and the new state, from a [T, S, H] and the old one."""
    _, before, seen = state
    a, wide, width = a.transpose(0, 1), a.shape[-1:], len(p["w_o"])  # a: [S, T, H]
    qkv = layer_norm(a, wide, p["gain"][0], p["bias"][0]) @ p["w_qkv"]
    kv = torch.cat([before, qkv[..., width:]], dim=1)
    seen = torch.cat([seen, torch.ones_like(a[:, :, 0])], dim=1)
    y = a + attended(qkv[..., :width], kv, seen) @ p["w_o"]
    inner = layer_norm(y, wide, p["gain"][1], p["bias"][1]) @ p["w_1"] + p["b_1"]
    h = (y + inner.relu() @ p["w_2"] + p["b_2"]).transpose(0, 1)
    return h, (h[-1], kv[:, 1 - WINDOW :], seen[:, 1 - WINDOW :])


def step(a, state, p):
    """One step: the new state from a [S, H] and the old one; a window of one character."""
    return scan(a[None], state, p)[1]
