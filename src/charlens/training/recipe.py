"""The two recipes: hyperparameters of a training, and its learning rate from update to update.

paper    RMSProp, as in the paper (section 4.1)
adamw    what today's authors would use, in miniature: AdamW with a warm-up, a cosine and weight
         decay
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from charlens.errors import InputError

# A training has diverged once its validation loss exceeds its best by this factor ...
WORSE = 2.0
RISE = 0.1  # ... and by this share of log K, while its training loss rose, too;
UNIFORM = 1.05  # or once a loss exceeds that of the uniform distribution, log K, by this factor


@dataclass(frozen=True)
class RMSProp:
    """The paper's recipe. The defaults are the paper's (section 4.1) or, else, our own."""

    epochs: int = 50  # passes over the training text
    learning_rate: float = 2e-3  # of RMSProp
    decay: float = 0.95  # factor on the learning rate per epoch ...
    decay_after: int = 10  # ... from the epoch after this one on
    smoothing: float = 0.95  # of RMSProp's mean square
    epsilon: float = 1e-8  # of RMSProp, added after the root
    clip: float = 5.0  # bound on each element of the gradient
    init: float = 0.08  # parameters begin uniform in [-init, init]
    LOWER = "training.learning_rate or training.clip"  # where a training diverges

    def rate(self, epoch: int, share: float = 1.0) -> float:
        """The learning rate of an epoch, the same throughout; epochs are counted from 1."""
        return self.learning_rate * self.decay ** max(0, epoch - self.decay_after)


@dataclass(frozen=True)
class AdamW:
    """The AdamW recipe (Loshchilov and Hutter 2019, "Decoupled weight decay regularization",
    arXiv:1711.05101, algorithm 2)."""

    epochs: int = 50
    learning_rate: float = 3e-3  # the highest, at the end of the warm-up
    warm_up: float = 1.0  # epochs, in which the rate rises from 0
    final: float = 0.1  # of the highest rate: where the cosine ends, after the last epoch
    beta1: float = 0.9  # of the mean gradient
    beta2: float = 0.99  # of the mean square
    epsilon: float = 1e-8  # added after the root
    weight_decay: float = 0.1  # of matrices, times the rate at each update
    max_norm: float = 1.0  # of the gradient of the mean loss per character, all parameters together
    init: float = 0.08  # parameters begin uniform in [-init, init]
    LOWER = "adamw.rates or adamw.max_norm"  # where a training diverges

    def rate(self, epoch: int, share: float = 1.0) -> float:
        """The learning rate once this share of an epoch is done; epochs are counted from 1."""
        done = epoch - 1 + share
        if done < self.warm_up:
            return self.learning_rate * done / self.warm_up
        left = (done - self.warm_up) / max(self.epochs - self.warm_up, 1e-9)
        cosine = (1 + math.cos(math.pi * min(1.0, left))) / 2
        return self.learning_rate * (self.final + (1 - self.final) * cosine)


Recipe = RMSProp | AdamW
RECIPES = {"paper": RMSProp, "adamw": AdamW}
OPTIMIZERS = {"paper": "RMSProp", "adamw": "AdamW"}

POSITIVE = (lambda value: 0 < value < math.inf, "a positive number")
NOT_NEGATIVE = (lambda value: 0 <= value < math.inf, "at least 0")
SHARE = (lambda value: 0 <= value < 1, "at least 0 and below 1")
# Whether a value of either recipe is sound, and what is, in words. (Settings have the same bounds.)
SOUND: dict[str, tuple[Callable[[float], bool], str]] = {
    "epochs": (lambda value: value >= 1, "at least 1"),
    "learning_rate": POSITIVE,
    "decay": (lambda value: 0 < value <= 1, "above 0 and at most 1"),
    "decay_after": NOT_NEGATIVE,
    "smoothing": SHARE,
    "epsilon": POSITIVE,
    "clip": POSITIVE,
    "warm_up": NOT_NEGATIVE,
    "final": (lambda value: 0 <= value <= 1, "from 0 to 1"),
    "beta1": SHARE,
    "beta2": SHARE,
    "weight_decay": NOT_NEGATIVE,
    "max_norm": POSITIVE,
    "init": POSITIVE,
}


def from_options(name: str, options: Mapping) -> Recipe:
    """The recipe of this name with these values; None, or no value, means its default.

    Names that no recipe has are ignored. Raises InputError where a value is of the other recipe, of
    another type or out of bounds.
    """
    kind = RECIPES[name]
    own = asdict(kind())
    given = {key: v for key, v in options.items() if key in SOUND and v is not None}
    for key, value in given.items():
        option = "--" + key.replace("_", "-")
        if key not in own:
            raise InputError(
                f"{option}: leave it out: {OPTIMIZERS[name]}, which trains this type, has none"
            )
        sound, words = SOUND[key]
        whole = isinstance(own[key], int)
        if not isinstance(value, int if whole else int | float) or not sound(value):
            raise InputError(f"{option}: expected {words}, got {value!r}")
    return kind(**given)


def divergence(history: Sequence[Mapping], symbols: int) -> str | None:
    """Why the last epoch of a history shows that the training diverged, in words; None if it does
    not. A network that overfits has not diverged: its training loss falls.

    history: the training and validation loss of each epoch, in nats per character (`train_loss`,
    `val_loss`). symbols: K.
    """
    *before, last = history
    uniform = math.log(symbols)
    for loss in (last["train_loss"], last["val_loss"]):
        if not math.isfinite(loss):
            return "the loss is not finite"
        if loss > UNIFORM * uniform:
            return f"the loss is {loss:.4g}, that of the uniform distribution {uniform:.4g}"
    if before:
        best = min(before, key=lambda row: row["val_loss"])
        least = best["val_loss"]
        worse = last["val_loss"] > max(WORSE * least, least + RISE * uniform)
        if worse and last["train_loss"] > best["train_loss"]:
            return f"the validation loss is {last['val_loss']:.4g}, after {least:.4g}"
    return None
