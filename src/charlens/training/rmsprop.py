"""RMSProp, as the paper trains with it (section 4.1)."""

from charlens.training.recipe import Recipe


def rmsprop_(p, grad, square, rate: float, recipe: Recipe) -> None:
    """One RMSProp step in place on a parameter, after clipping each element of its gradient."""
    grad.clamp_(-recipe.clip, recipe.clip)
    square.mul_(recipe.smoothing).addcmul_(grad, grad, value=1 - recipe.smoothing)
    p.addcdiv_(grad, square.sqrt().add_(recipe.epsilon), value=-rate)
