"""A linear recurrence over a window: the scan of cell types whose gates do not see the state.

What such a type does step by step, h_t = keep_t * h_{t-1} + add_t, needs nothing but the inputs, so
`keep` and `add` of all steps are computed at once. What remains is this loop, which runs in place,
without a graph of its steps; the gradient is the same loop backwards.
"""

import torch
from torch import Tensor


def linear_recurrence(keep: Tensor, add: Tensor, before: Tensor) -> Tensor:
    """h_t = keep_t * h_{t-1} + add_t for all steps: [T, ...].

    keep, add: [T, ...]. before: [...], the h before the first step.
    """
    return _LinearRecurrence.apply(keep, add, before)


class _LinearRecurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keep, add, before):
        h, last = torch.empty_like(add), before
        for t in range(len(add)):
            last = torch.addcmul(add[t], keep[t], last, out=h[t])
        ctx.save_for_backward(keep, h, before)
        return h

    @staticmethod
    def backward(ctx, grad):
        keep, h, before = ctx.saved_tensors
        grad = grad.clone()  # becomes the gradient of h_t through all later steps, too
        for t in range(len(grad) - 1, 0, -1):
            grad[t - 1].addcmul_(keep[t], grad[t])
        earlier = torch.cat([before[None], h[:-1]])
        return grad * earlier, grad, grad[0] * keep[0]
