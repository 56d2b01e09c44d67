"""Claims about characters that need long reach (figure 4, right; figure 5, left).

They are about the LSTM of those figures: the best with three layers (`Evidence.best_lstm`).
"""

import math
from collections.abc import Callable

import numpy as np

from charlens.claims.evidence import Evidence, Missing, Statistic
from charlens.claims.measure import Finding, measure
from charlens.store.scores import Score

REACH = {  # characters that need long reach
    "brackets": b"()[]{}<>",
    "quotes": b"\"'",
    "newline": b"\r\n",
    "space": b" ",
}


def mean_probability(chosen: Callable[[Evidence], np.ndarray]) -> Statistic:
    """Mean probability of the test characters that `chosen` marks: bool [N]."""

    def sums(e: Evidence, score: Score) -> tuple[np.ndarray, np.ndarray]:
        if score.logp is None:
            raise Missing(f"the scores of {score.key.label}, character by character")
        mask = chosen(e)
        return e.per_stream(np.where(mask, score.probabilities(), 0.0)), e.per_stream(mask)

    return Statistic(sums)


def mean_probability_of(characters: bytes, others: bool = False) -> Statistic:
    """Mean probability of these characters; or of all others."""
    wanted = np.frombuffer(characters, np.uint8)

    def chosen(e: Evidence) -> np.ndarray:
        return np.isin(e.characters, wanted, invert=others)

    def mean(e: Evidence, score: Score) -> float:
        means = score.symbol_means(e.split)
        counts = np.bincount(e.split["test_y"].ravel(), minlength=len(means))
        counts = counts * np.isin(e.split["alphabet"], wanted, invert=others)
        return float(counts @ means / counts.sum()) if counts.sum() else math.nan

    return Statistic(mean_probability(chosen).sum, mean)


def gains_on_long_reach(e: Evidence) -> list[Finding]:
    """Effect: what the LSTM of figure 4 gains over the longest n-gram in the mean probability of
    these characters, more than it gains on all others."""
    lstm, ngram = e.best_lstm(), e.largest_ngram()
    findings = []
    for part, characters in {"": b"".join(REACH.values()), **REACH}.items():
        if not np.isin(e.characters, np.frombuffer(characters, np.uint8)).any():
            continue
        here, there = mean_probability_of(characters), mean_probability_of(characters, others=True)
        terms = [
            (gain * side, [model], statistic)
            for statistic, side in ((here, 1), (there, -1))
            for model, gain in ((lstm, 1), (ngram, -1))
        ]
        effect = measure(e, terms)
        gain, rest = (what.value(e, lstm) - what.value(e, ngram) for what in (here, there))
        words = f"{lstm.key.name} against {ngram.key.name}: {gain:+.3f} here, {rest:+.3f} elsewhere"
        findings.append(effect.finding(part, effect.verdict(), words))
    if not findings:
        raise Missing("brackets, quotes, newlines or spaces in the test text")
    return findings


def gains_on_far_braces(e: Evidence) -> list[Finding]:
    """Effect: mean probability of "}" under the LSTM of figure 5 minus that under the longest
    n-gram, for braces that opened further back than the n-gram sees."""
    if e.about["kind"] != "code":
        return []
    lstm, ngram = e.best_lstm(), e.largest_ngram()
    n = ngram.key.n

    def far(evidence: Evidence) -> np.ndarray:
        index, distance = evidence.braces
        mask = np.zeros(evidence.characters.size, dtype=bool)
        mask[index[distance > n]] = True
        return mask

    count = int(far(e).sum())
    if not count:
        raise Missing(f"a closing brace more than {n} characters behind its opening one")
    probability = mean_probability(far)
    effect = measure(e, [(1, [lstm], probability), (-1, [ngram], probability)])
    words = f"{lstm.key.name} against {ngram.key.name}: {count} braces"
    return [effect.finding("", effect.verdict(), words)]
