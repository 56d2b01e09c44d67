"""Claims about the fixed-context baselines, n-gram and n-NN (table 2)."""

import math

import pandas as pd

from charlens.claims.evidence import LOSS, Evidence, Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED, Effect, Finding, measure
from charlens.store.models import ModelKey
from charlens.store.tables import UNFINISHED
from charlens.training.recipe import divergence

SMALL_N = 2  # n-gram and n-NN should agree up to this n ...
AGREE = 0.05  # ... within so many nats per character
TURN = 0.005  # nats: a validation loss that rises by more than this after its lowest has turned up


def nn_agrees(evidence: Evidence) -> list[Finding]:
    """Effect: loss of the n-NN minus loss of the n-gram, for n up to 2; nats per character. They
    agree if the whole interval lies within 0.05 of zero. The overall verdict is that of the n with
    the largest difference."""
    effects = {n: nn_less_ngram(evidence, n) for n in common_n(evidence) if n <= SMALL_N}
    if not effects:
        raise Missing(f"an n-gram and an n-NN with the same n up to {SMALL_N}")
    worst = max(effects, key=lambda n: abs(effects[n].value))
    return [
        effects[n].finding(part, effects[n].agreement(AGREE), f"{n}-NN against {n}-gram")
        for part, n in [("", worst), *((f"n = {n}", n) for n in effects)]
    ]


def nn_falls_behind(evidence: Evidence) -> list[Finding]:
    """Effect: loss of the n-NN minus loss of the n-gram, at the largest n that both have minus at
    the smallest; nats per character."""
    shared = common_n(evidence)
    if len(shared) < 2:
        raise Missing("n-gram and n-NN models for two values of n")
    first, last = shared[0], shared[-1]
    terms = [
        (sign * side, [models[n]], LOSS)
        for n, sign in ((last, 1), (first, -1))
        for models, side in ((evidence.nns, 1), (evidence.ngrams, -1))
    ]
    effect = measure(evidence, terms)
    behind = [
        f"{n}-NN {evidence.nns[n].loss - evidence.ngrams[n].loss:+.3f} against {n}-gram"
        for n in (first, last)
    ]
    return [effect.finding("", effect.verdict(), ", ".join(behind))]


def nn_loss_rises(evidence: Evidence) -> list[Finding]:
    """Effect: test loss of the n-NN at the largest n minus its loss at the smaller n that is best
    on validation; nats per character. A rise need not be overfitting: too few hidden units for a
    longer context give one, too."""
    if len(evidence.nns) < 2:
        raise Missing("n-NN models for two values of n")
    *shorter, last = evidence.nns.values()
    least = min(shorter, key=lambda score: score.meta["val_loss"])
    effect = measure(evidence, [(1, [last], LOSS), (-1, [least], LOSS)])
    words = ", ".join(f"{score.key.name} {score.loss:.3f}" for score in (least, last))
    return [effect.finding("", effect.verdict(), words)]


def nn_overfits(evidence: Evidence) -> list[Finding]:
    """An n-NN overfits if, while it trains, its validation loss turns up (ends more than 0.005 nats
    above its lowest) and its gap is wider than that of the smallest n. The gap is the validation
    loss minus the training loss in the epoch with the lowest validation loss; the training loss is
    a mean over the epoch. Effect, for each n: the gap of the candidate that validation chose; nats
    per character. Overall effect: the largest rise of a validation loss after its lowest, over all
    trainings with n above 2. The claim holds if one of these overfits, and does not if none does.
    But where larger candidates are still to be tried, and in most n-NNs the largest so far is the
    best, it is undecided: more units would fit the training text closer, and these n-NNs may be too
    small to overfit. The basis says how often capacity is the limit: the largest candidate was
    chosen, and its last epoch was its best. Each training is one run, so no intervals. One that
    diverged does not count."""
    symbols = len(evidence.split["alphabet"])
    trainings = {
        key: training(history)
        for key, history in evidence.histories.items()
        if divergence(history.to_dict("records"), symbols) is None
    }
    if not any(key.n > SMALL_N for key in trainings):
        raise Missing(f"the histories of n-NN trainings with n above {SMALL_N}")
    by_n: dict[int, list[ModelKey]] = {}
    for key in sorted(trainings, key=lambda key: (key.n, key.candidate)):
        by_n.setdefault(key.n, []).append(key)
    least_gap = trainings[chosen(by_n[min(by_n)], trainings)]["gap"]
    parts, limited, growing, untried = [], 0, 0, {}
    for n, keys in by_n.items():
        best, largest = chosen(keys, trainings), keys[-1]
        found = trainings[best]
        turned = [key for key in keys if turns_up(trainings[key], least_gap)]
        limited += best == largest and found["best"] == found["epochs"]
        growing += best == largest
        left = [units for units in evidence.hidden if units > largest.candidate]
        words = (
            f"{n}-NN, one seed: {best.candidate} of up to {largest.candidate} hidden units chosen,"
            f" best in epoch {found['best']} of {found['epochs']}: training {found['train']:.3f},"
            f" validation {found['val']:.3f}"
        )
        units = ", ".join(str(key.candidate) for key in turned)
        turning = f"turned up with {units} hidden units" if turned else "none turned up"
        verdict, reason = HOLDS if turned else FAILS, ""
        if left and best == largest and not turned:
            verdict, reason = UNDECIDED, UNFINISHED
            turning += f"; not tried yet: {numbers(left)}"
        if n > SMALL_N:
            untried |= dict.fromkeys(left)
        gap, words = (found["gap"], math.nan, math.nan), f"{words}; {turning}"
        parts.append(Finding(f"n = {n}", verdict, *gap, words, reason))
    larger = {key: found for key, found in trainings.items() if key.n > SMALL_N}
    overfit = [key for key, found in larger.items() if turns_up(found, least_gap)]
    last = sum(found["best"] == found["epochs"] for found in larger.values())
    words = (
        f"{len(overfit)} of {len(larger)} trainings with n above {SMALL_N} overfit, {last} are best"
        f" in their last epoch; capacity limits {limited} of {len(by_n)} n-NNs; one seed"
    )
    rise = max(found["rise"] for found in larger.values())
    verdict, reason = HOLDS if overfit else FAILS, ""
    if untried and growing > len(by_n) / 2 and not overfit:
        verdict, reason = UNDECIDED, UNFINISHED
        words += f"; not tried yet: {numbers(sorted(untried))} hidden units; as the largest tried"
        words += f" is the best in {growing} of {len(by_n)}, they may be too small to overfit"
    return [Finding("", verdict, rise, math.nan, math.nan, words, reason), *parts]


def numbers(units: list[int]) -> str:
    """Numbers of hidden units in words: 1,024 and 2,048."""
    *most, last = (f"{number:,}" for number in units)
    return f"{', '.join(most)} and {last}" if most else last


def training(history: pd.DataFrame) -> dict:
    """What a training's history says: its best epoch and the number of epochs; training loss,
    validation loss and gap in the best epoch; and how far validation rose after it, nats."""
    best = history.loc[history["val_loss"].idxmin()]
    return {
        "best": int(best["epoch"]),
        "epochs": int(history["epoch"].iloc[-1]),
        "train": float(best["train_loss"]),
        "val": float(best["val_loss"]),
        "gap": float(best["val_loss"] - best["train_loss"]),
        "rise": float(history["val_loss"].iloc[-1] - best["val_loss"]),
    }


def turns_up(found: dict, least_gap: float) -> bool:
    """Whether a training overfits (see `nn_overfits`). found: of `training`."""
    return found["rise"] > TURN and found["gap"] > least_gap


def chosen(keys: list[ModelKey], trainings: dict[ModelKey, dict]) -> ModelKey:
    """The candidate with the lowest validation loss."""
    return min(keys, key=lambda key: trainings[key]["val"])


def common_n(evidence: Evidence) -> list[int]:
    """Every n for which there are both an n-gram and an n-NN, in order."""
    return sorted(set(evidence.ngrams) & set(evidence.nns))


def nn_less_ngram(evidence: Evidence, n: int) -> Effect:
    """Loss of the n-NN minus loss of the n-gram, nats per character."""
    return measure(evidence, [(1, [evidence.nns[n]], LOSS), (-1, [evidence.ngrams[n]], LOSS)])
