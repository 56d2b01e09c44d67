"""The modern cell types in numpy, float64, straight from their papers' equations, step by step.

The package's versions are held against these, which are written apart from it, for reading.

Each function is one step of a layer: a [S, G*H], x W_x + b; state, a list of arrays; p, the layer's
parameters by name. It returns the new state, the output first.
"""

import numpy as np


def sigm(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log(1 + np.exp(x))


def silu(x):
    return x * sigm(x)


def mingru(a, state, p):
    z, g = np.split(a, 2, axis=1)
    return [(1 - sigm(z)) * state[0] + sigm(z) * g]


def minlstm(a, state, p):
    f, i, g = np.split(a, 3, axis=1)
    f, i = sigm(f), sigm(i)
    return [f / (f + i) * state[0] + i / (f + i) * g]


def rglru(a, state, p):
    r, i, x = np.split(a, 3, axis=1)
    decay = sigm(p["lambda"]) ** (8 * sigm(r))
    return [decay * state[0] + np.sqrt(1 - decay**2) * sigm(i) * x]


def slstm(a, state, p):
    """With the paper's c, normalised at the end; the state holds c / n."""
    h, ratio, n, m = state
    i, f, o, z = np.split(a + h @ p["w_h"], 4, axis=1)
    new_m = np.maximum(np.log(sigm(f)) + m, i)
    i, f = np.exp(i - new_m), np.exp(np.log(sigm(f)) + m - new_m)
    c = f * (ratio * n) + i * np.tanh(z)
    n = f * n + i
    return [sigm(o) * c / n, c / n, n, new_m]


def mlstm(a, state, p):
    _, C, n, m = state
    H = a.shape[1] // 4
    q, k, v, o = np.split(a, 4, axis=1)
    new = []
    for s in range(len(a)):  # one stream at a time, without the batch
        i, f = np.concatenate([q[s], k[s], v[s]]) @ p["w_g"] + p["b_g"]
        new_m = max(np.log(sigm(f)) + m[s, 0], i)
        i, f = np.exp(i - new_m), np.exp(np.log(sigm(f)) + m[s, 0] - new_m)
        key = k[s] / np.sqrt(H)
        C_s = f * C[s] + i * np.outer(key, v[s])
        n_s = f * n[s] + i * key
        h = sigm(o[s]) * (q[s] @ C_s) / max(abs(q[s] @ n_s), np.exp(-new_m))
        new.append((h, C_s, n_s, np.array([new_m])))
    return [np.stack(of) for of in zip(*new, strict=True)]


def mamba(a, state, p):
    _, s, before = state
    u, z = np.split(a, 2, axis=1)
    u = np.concatenate([before, u[:, None]], axis=1)  # the last four, [S, 4, E]
    last, u = u[:, 1:], silu(np.einsum("sje,je->se", u, p["c"][::-1]) + p["c_b"])
    rank = len(p["w_t"])
    d, B, C = np.split(u @ p["w_d"], [rank, rank + 16], axis=1)
    size = softplus(d @ p["w_t"] + p["b_t"])
    A = -np.exp(p["A_log"])
    s = np.exp(np.einsum("se,en->sen", size, A)) * s + np.einsum("se,se,sn->sen", size, u, B)
    y = np.einsum("sen,sn->se", s, C) + p["D"] * u
    return [(y * silu(z)) @ p["w_o"], s, last]


def norm(x, gain, bias):
    mean = x.mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5) * gain + bias


def transformer(a, state, p):
    """Rotated by complex numbers, one head and one stream at a time."""
    _, kv, seen = state
    inner = len(p["w_o"])
    d = inner // 4
    qkv = norm(a, p["gain"][0], p["bias"][0]) @ p["w_qkv"]
    kv = np.concatenate([kv, qkv[:, None, inner:]], axis=1)
    seen = np.concatenate([seen, np.ones((len(a), 1))], axis=1)
    turn = np.exp(1j * 10_000.0 ** -(np.arange(d // 2) / (d // 2)))
    mixed = np.zeros((len(a), inner))
    for s in range(len(a)):
        for head in range(4):
            own = slice(head * d, (head + 1) * d)
            q, keys, values = (
                qkv[s, :inner][own],
                kv[s, :, :inner][:, own],
                kv[s, :, inner:][:, own],
            )
            q, keys = (x[..., : d // 2] + 1j * x[..., d // 2 :] for x in (q, keys))
            back = np.arange(len(keys))[::-1]
            logits = (q * turn ** back[:, None] * keys.conj()).sum(axis=1).real
            weights = np.exp(logits / np.sqrt(d)) * seen[s]
            mixed[s, own] = weights / weights.sum() @ values
    y = a + mixed @ p["w_o"]
    inside = np.maximum(norm(y, p["gain"][1], p["bias"][1]) @ p["w_1"] + p["b_1"], 0)
    return [y + inside @ p["w_2"] + p["b_2"], kv[:, 1:], seen[:, 1:]]
