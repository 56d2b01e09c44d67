"""The models of the compiled code in float64, straight from the equations: what every backend is
held against.

Written apart from the package (it imports nothing of it), for reading rather than speed. Row
vectors, x @ W; parameter names and column blocks as in the checkpoints:

    rnn   h = tanh(x w_x + b + h' w_h)
    lstm  i, f, o = sigm and g = tanh of x w_x + b + h' w_h;  c = f c' + i g;  h = o tanh(c)
    gru   r, z = sigm(x w_x + b + h' w_h);  g = tanh(x w_x + b + (r h') w_g + b_g);
          h = (1 - z) h' + z g            (column blocks of w_x and b: r, z, g; of w_h: r, z)
    mingru   z = sigm and g = x w_x + b;  h = (1 - z) h' + z g
    minlstm  f, i = sigm and g = x w_x + b;  h = (f h' + i g) / (f + i)
    rglru    r, i = sigm and v = x w_x + b;  a = sigm(lambda)^(8 r);
             h = a h' + sqrt(max(1 - a^2, 1e-8)) i v
    slstm    i = exp, f, o = sigm and z = tanh of x w_x + b + h' w_h, all of f and i times e^-m;
             n = f e^m' n' + i;  c = ratio of (f e^m' n' c' + i z) and n;  h = o c
    nn    h = tanh(b + sum over the n characters of their rows of w_x)
    p(next character) = softmax(h w + b) of the last layer's h, after dropout

In a block ("lstm+block"), with norm(x) = gain x / sqrt(mean(x^2) + 1e-6), u a layer's input (in the
first a row of embed.w) and h the cell's output for x = norm(u), after dropout:

    y = u + h;  output y + (gelu(a) b) w_out, (a, b) = norm(y) w_in;  norm before the softmax
"""

import torch
import torch.nn.functional as F


def cell(kind, w, x, state):
    """One step of a layer: x [S, I], state [states, S, H] -> the new state (row 0: the output)."""
    h = state[0]
    H = h.shape[1]
    into = x @ w["w_x"] + w["b"]
    if kind == "rnn":
        return torch.stack([torch.tanh(into + h @ w["w_h"])])
    if kind == "lstm":
        i, f, o, g = (into + h @ w["w_h"]).split(H, dim=1)
        c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
        return torch.stack([torch.sigmoid(o) * torch.tanh(c), c])
    if kind == "mingru":
        z, g = into.split(H, dim=1)
        return torch.stack([(1 - torch.sigmoid(z)) * h + torch.sigmoid(z) * g])
    if kind == "minlstm":
        f, i, g = into.split(H, dim=1)
        f, i = torch.stack([F.logsigmoid(f), F.logsigmoid(i)]).softmax(dim=0)  # no 0 / 0
        return torch.stack([f * h + i * g])
    if kind == "rglru":
        r, i, v = into.split(H, dim=1)
        a = torch.sigmoid(w["lambda"]) ** (8 * torch.sigmoid(r))
        return torch.stack([a * h + (1 - a**2).clamp(min=1e-8).sqrt() * torch.sigmoid(i) * v])
    if kind == "slstm":
        _, c, n, m = state
        i, f, o, z = (into + h @ w["w_h"]).split(H, dim=1)
        forgotten = F.logsigmoid(f) + m
        m = torch.maximum(forgotten, i)
        kept, added = torch.exp(forgotten - m) * n, torch.exp(i - m)
        c = (kept * c + added * torch.tanh(z)) / (kept + added)
        return torch.stack([torch.sigmoid(o) * c, c, kept + added, m])
    r, z = torch.sigmoid(into[:, : 2 * H] + h @ w["w_h"]).split(H, dim=1)
    g = torch.tanh(into[:, 2 * H :] + (r * h) @ w["w_g"] + w["b_g"])
    return torch.stack([(1 - z) * h + z * g])


def norm(x, gain):
    return gain * x / (x.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()


def after_cell(u, h, w):
    """The output of a layer in a block."""
    y = u + h
    a, b = (norm(y, w["block.mlp_norm"]) @ w["block.w_in"]).chunk(2, dim=-1)
    return y + (a * (1 + torch.erf(a / 2**0.5)) / 2 * b) @ w["block.w_out"]


def forward(kind, params, x, state=None, masks=None):
    """Logits [S, T, K] and the state after the last step.

    x: codes [S, T] (nn: [S, T, n], 255 where there is no character); state [layers, states, S, H];
    masks [layers, T, S, H], multiplied onto each layer's output.
    """
    params = {name: torch.as_tensor(p).double() for name, p in params.items()}
    x = torch.as_tensor(x).long()
    K = params["out.b"].shape[0]
    if kind == "nn":
        n = x.shape[2]
        rows = torch.cat([params["w_x"], torch.zeros_like(params["w_x"][:1])])  # last row: nothing
        at = torch.where(x == 255, n * K, torch.arange(n) * K + x)
        y = torch.tanh(params["b"] + rows[at].sum(dim=2))
        return y @ params["out.w"] + params["out.b"], None
    state = list(torch.as_tensor(state).double())
    kind, _, block = kind.partition("+")
    outputs = []
    for t in range(x.shape[1]):
        y = F.one_hot(x[:, t], K).double()
        y = y @ params["embed.w"] if block else y
        for layer in range(len(state)):
            prefix = f"layers.{layer}."
            w = {name[len(prefix) :]: p for name, p in params.items() if name.startswith(prefix)}
            into = norm(y, w["block.norm"]) if block else y
            state[layer] = cell(kind, w, into, state[layer])
            h = state[layer][0]
            if masks is not None:
                h = h * masks[layer, t].double()
            y = after_cell(y, h, w) if block else h
        outputs.append(norm(y, params["out.norm"]) if block else y)
    return torch.stack(outputs, dim=1) @ params["out.w"] + params["out.b"], torch.stack(state)


def loss_and_grads(kind, params, x, y, state=None, masks=None):
    """(mean of -log p, gradients of its sum over steps and mean over streams, state after, logits).

    No gradient flows through the incoming state.
    """
    params = {name: p.detach().double().requires_grad_() for name, p in params.items()}
    state = None if state is None else state.detach()
    logits, state = forward(kind, params, x, state, masks)
    y = torch.as_tensor(y).long()
    nll = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum") / y.shape[0]
    grads = dict(zip(params, torch.autograd.grad(nll, list(params.values())), strict=True))
    return (
        nll.item() / y.shape[1],
        grads,
        None if state is None else state.detach(),
        logits.detach(),
    )
