"""The optional block around each cell, and the gated MLP after it.

With u the output of the layer below (in the first layer, the character's embedding):

    y = u + cell(norm(u))
    h = y + (gelu(a) * b) W_out  with  (a, b) = norm(y) W_in          each 2 H wide
    norm(x) = gain * x / sqrt(mean(x^2) + 1e-6)

and norm(h) of the last layer before the classifier. This is the residual block of De, Smith,
Fernando, Botev et al. 2024 ("Griffin", arXiv:2402.19427, sections 2.1 and 2.2) with their gated MLP
2 H wide, not 3 H, so that at matched parameters more of them are the cell's.
"""

import torch
from torch import Tensor
from torch.nn.functional import gelu


def normalised(x: Tensor, gain: Tensor) -> Tensor:
    """x [..., H] divided by the root of its mean square, times a gain [H]."""
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-6) * gain


def after_cell(u: Tensor, cell: Tensor, p: dict[str, Tensor]) -> Tensor:
    """A layer's output h from its input u and the cell's output, [..., H] each."""
    y = u + cell
    a, b = (normalised(y, p["block.mlp_norm"]) @ p["block.w_in"]).chunk(2, dim=-1)
    return y + (gelu(a) * b) @ p["block.w_out"]
