"""The n-NN of table 2: a network of one tanh hidden layer that sees the last n characters.

With K symbols and H hidden units its parameters are

    w_x   [n*K, H]    b     [H]    the hidden layer, tanh(x @ w_x + b)
    out.w [H, K]      out.b [K]    the softmax classifier

The input x is the n characters in 1-of-K code, the oldest first, so x @ w_x is a sum of n rows.
"""

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


def forward(params: dict[str, Tensor], x: Tensor) -> Tensor:
    """Logits [S, T, K] of the next character, given the n before it: x [S, T, n], integer codes,
    K or more where there is no character."""
    S, T, n = x.shape
    symbols = params["out.b"].shape[0]
    present = x < symbols
    rows = torch.where(present, x + symbols * torch.arange(n, device=x.device), 0)
    present = present.to(params["w_x"].dtype)
    product = embedding_bag(
        rows.view(S * T, n), params["w_x"], mode="sum", per_sample_weights=present.view(S * T, n)
    )
    return above(params, product.view(S, T, -1))


def above(params: dict[str, Tensor], product: Tensor) -> Tensor:
    """Logits [..., K], given the product x @ w_x [..., H]."""
    return torch.tanh(product + params["b"]) @ params["out.w"] + params["out.b"]
