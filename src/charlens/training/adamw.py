"""The optimizer AdamW (Loshchilov and Hutter 2019, algorithm 2)."""

import math

import torch

from charlens.networks.network import Parameters
from charlens.training.recipe import AdamW


def adamw_(
    params: Parameters,
    grads: Parameters,
    means: Parameters,
    squares: Parameters,
    rate: float,
    number: int,
    unroll: int,
    recipe: AdamW,
) -> None:
    """One AdamW step in place on all parameters.

    grads: of the loss summed over a window of `unroll` characters, overwritten. They are divided by
    it and, where their norm exceeds `max_norm`, scaled down to it. means, squares: the running
    means of the gradient and its square, updated in place. rate: the learning rate. number: of the
    update, counted from 1.

        mean = beta1 * mean + (1 - beta1) * grad;   square = beta2 * square + (1 - beta2) * grad^2
        p = p - rate * weight_decay * p             (matrices alone: names that begin with w)
        p = p - rate * mean / (1 - beta1^number) / (sqrt(square / (1 - beta2^number)) + epsilon)
    """
    params, grads, means, squares = (
        {name: torch.as_tensor(value) for name, value in group.items()}  # in the same memory
        for group in (params, grads, means, squares)
    )
    norms = torch.stack([grad.norm() for grad in grads.values()])
    norm = norms.norm().item() / unroll
    scale = min(1.0, recipe.max_norm / norm) / unroll if norm > 0 else 0.0
    root = math.sqrt(1 - recipe.beta2**number)
    for name, p in params.items():
        grad, mean, square = grads[name].mul_(scale), means[name], squares[name]
        mean.lerp_(grad, 1 - recipe.beta1)
        square.mul_(recipe.beta2).addcmul_(grad, grad, value=1 - recipe.beta2)
        if name.rpartition(".")[2].startswith("w"):
            p.mul_(1 - rate * recipe.weight_decay)
        divisor = square.sqrt().div_(root).add_(recipe.epsilon)
        p.addcdiv_(mean, divisor, value=-rate / (1 - recipe.beta1**number))
