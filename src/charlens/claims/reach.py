"""Claims about long-range dependencies (section 4.3, figures 4 and 5).

They are about the LSTM of those figures: the best with three layers (`Evidence.figure_lstm`).
"""

import math
from collections.abc import Callable

import numpy as np

from charlens.claims.evidence import Evidence, Missing, Statistic
from charlens.claims.measure import Finding, measure, of_all
from charlens.store.scores import Score

REACH = {  # characters that depend on long-range context
    "brackets": b"()[]{}<>",
    "quotes": b"\"'",
    "newline": b"\r\n",
    "space": b" ",
}
PEAK = 60  # characters: up to this distance the paper's gain on "}" grows
FARTHER = (120, 250, 500)  # bounds of the distances beyond it
FEW = 20  # the gain on fewer braces is not reported


def mean_probability(chosen: Callable[[Evidence], np.ndarray], name: str = "") -> Statistic:
    """Mean probability of the test characters that chosen(evidence), bool [N], marks.

    The statistic raises Missing where only the digest of a score is known, unless its sums are
    published under its name.
    """

    def sums(evidence: Evidence, score: Score) -> tuple[np.ndarray, np.ndarray]:
        if score.logp is None:
            raise Missing(f"the scores of {score.key.label}, character by character")
        mask = chosen(evidence)
        probabilities = np.where(mask, score.probabilities(), 0.0)
        return evidence.per_stream(probabilities), evidence.per_stream(mask)

    return Statistic(sums, name=name)


def mean_probability_of(characters: bytes, others: bool = False) -> Statistic:
    """Mean probability of these characters, or of all others."""
    wanted = np.frombuffer(characters, np.uint8)

    def chosen(evidence: Evidence) -> np.ndarray:
        return np.isin(evidence.characters, wanted, invert=others)

    def mean(evidence: Evidence, score: Score) -> float:
        means = score.symbol_means(evidence.split)
        these = np.isin(evidence.split["alphabet"], wanted, invert=others)
        if these.sum() == 1:  # needs no text, which a publication does not have
            return float(means[these][0]) or math.nan
        counts = np.bincount(evidence.split["test_y"].ravel(), minlength=len(means)) * these
        return float(counts @ means / counts.sum()) if counts.sum() else math.nan

    name = f"probability of {'all but ' if others else ''}{characters!r}"
    return Statistic(mean_probability(chosen).sum, mean, name)


def gains_on_long_reach(evidence: Evidence) -> list[Finding]:
    """The LSTM's gain is the mean probability of the correct character under the LSTM of figure 4
    minus that under the longest n-gram. Effect: the gain on these characters minus the gain on all
    others. The claim holds if that and the gain on these characters are positive, and does not if
    one of them is negative."""
    lstm, ngram = evidence.figure_lstm(), evidence.largest_ngram()
    findings = []
    for part, characters in {"": b"".join(REACH.values()), **REACH}.items():
        here, there = mean_probability_of(characters), mean_probability_of(characters, others=True)
        if not here.sums(evidence, ngram)[1].any():  # there is no such character
            continue
        gain, rest = (
            [(side, [lstm], statistic), (-side, [ngram], statistic)]
            for statistic, side in ((here, 1), (there, -1))
        )
        at_all, effect = measure(evidence, gain), measure(evidence, gain + rest)
        elsewhere = at_all.value - effect.value
        words = (
            f"{lstm.key.name} against {ngram.key.name}: {at_all.value:+.3f} here,"
            f" {elsewhere:+.3f} elsewhere"
        )
        findings.append(effect.finding(part, of_all([at_all.verdict(), effect.verdict()]), words))
    if not findings:
        raise Missing("brackets, quotes, newlines or spaces in the test text")
    return findings


def gains_on_far_braces(evidence: Evidence) -> list[Finding]:
    """Effect: mean probability of "}" under the LSTM of figure 5 minus that under the longest
    n-gram, for braces that were opened before the n-gram's context."""
    if evidence.about["kind"] != "code":
        return []
    lstm, ngram = evidence.figure_lstm(), evidence.largest_ngram()
    count, probability = braces(evidence, ngram.key.n, math.inf)
    if not count:
        raise Missing(f"a closing brace more than {ngram.key.n} characters after its opening one")
    effect = measure(evidence, [(1, [lstm], probability), (-1, [ngram], probability)])
    words = f"{lstm.key.name} against {ngram.key.name}: {count} braces"
    return [effect.finding("", effect.verdict(), words)]


def brace_gain_decays(evidence: Evidence) -> list[Finding]:
    """The gain on "}" is its mean probability under the LSTM of figure 5 minus that under the
    longest n-gram. Effect: the gain at distances from the n-gram's context to 60 characters minus
    the gain at larger distances. Each part gives the gain at some distances; a part holds if the
    gain is positive."""
    if evidence.about["kind"] != "code":
        return []
    lstm, ngram = evidence.figure_lstm(), evidence.largest_ngram()
    bounds = (ngram.key.n, PEAK, *FARTHER)
    near, near_gain = braces(evidence, ngram.key.n, PEAK)
    far, far_gain = braces(evidence, PEAK, math.inf)
    if not near or not far:
        raise Missing(f"closing braces nearer and farther than {PEAK} characters")
    terms = [
        (sign * gain, [model], statistic)
        for sign, statistic in ((1, near_gain), (-1, far_gain))
        for gain, model in ((1, lstm), (-1, ngram))
    ]
    effect = measure(evidence, terms)
    words = f"{lstm.key.name} against {ngram.key.name}"
    counts = f"{near} braces up to {PEAK} characters, {far} farther"
    findings = [effect.finding("", effect.verdict(), f"{words}: {counts}")]
    for low, high in zip(bounds, (*bounds[1:], math.inf), strict=True):
        count, probability = braces(evidence, low, high)
        if count >= FEW:
            gain = measure(evidence, [(1, [lstm], probability), (-1, [ngram], probability)])
            part = f"{low + 1} to {high}" if high < math.inf else f"over {low}"
            findings.append(gain.finding(part, gain.verdict(), f"{words}: {count} braces"))
    return findings


def braces(evidence: Evidence, low: float, high: float) -> tuple[int, Statistic]:
    """How many closing braces are more than `low` and up to `high` characters from their opening
    one, and the mean probability of these."""

    def chosen(evidence: Evidence) -> np.ndarray:
        index, distance = evidence.braces
        mask = np.zeros(evidence.characters.size, dtype=bool)
        mask[index[(distance > low) & (distance <= high)]] = True
        return mask

    name = f'probability of "}}" more than {low} and up to {high} characters after its "{{"'
    probability = mean_probability(chosen, name)
    _, counts = probability.sums(evidence, evidence.largest_ngram())
    return int(counts.sum()), probability
