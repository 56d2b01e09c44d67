"""The recipe: hyperparameters of a training (section 4.1)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. The defaults are the paper's (section 4.1) or, else, our own."""

    epochs: int = 50  # passes over the training text
    learning_rate: float = 2e-3  # of RMSProp
    decay: float = 0.95  # factor on the learning rate per epoch ...
    decay_after: int = 10  # ... from the epoch after this one on
    smoothing: float = 0.95  # of RMSProp's mean square
    epsilon: float = 1e-8  # of RMSProp, added after the root
    clip: float = 5.0  # bound on each element of the gradient
    init: float = 0.08  # parameters begin uniform in [-init, init]

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch; epochs are counted from 1."""
        return self.learning_rate * self.decay ** max(0, epoch - self.decay_after)
