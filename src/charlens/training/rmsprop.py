"""RMSProp, the optimizer (section 4.1)."""

from typing import TYPE_CHECKING

from charlens.training.recipe import RMSProp

if TYPE_CHECKING:
    from torch import Tensor


def rmsprop_(p: "Tensor", grad: "Tensor", square: "Tensor", rate: float, recipe: RMSProp) -> None:
    """One RMSProp step in place on a parameter p, after clipping its gradient (section 4.1).

    grad: overwritten. square: the running mean of the squared gradient, updated in place. Both have
    the shape of p. rate: the learning rate.

        square = smoothing * square + (1 - smoothing) * grad^2
        p = p - rate * grad / (sqrt(square) + epsilon)
    """
    grad.clamp_(-recipe.clip, recipe.clip)
    square.mul_(recipe.smoothing).addcmul_(grad, grad, value=1 - recipe.smoothing)
    p.addcdiv_(grad, square.sqrt().add_(recipe.epsilon), value=-rate)
