"""Claims about losses (tables 1 and 2). They use every network of the grid."""

from collections.abc import Callable

from charlens.claims.evidence import LOSS, Evidence, GridEntry, Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED, Effect, Finding, losses, measure
from charlens.store.models import types_in_order

SMALL_N = 2  # n-gram and n-NN should agree up to this n ...
AGREE = 0.05  # ... within so many nats per character
Pair = tuple[GridEntry, GridEntry]


def depth_helps(evidence: Evidence) -> list[Finding]:
    """Effect: loss of one layer minus loss of two or three, whichever is better on validation; mean
    over the sizes and types that have both; nats per character. Choosing the better of two favours
    depth by half a seed SD at most."""
    pairs: dict[str, list[Pair]] = {}
    for type in types_in_order(entry.key.type for entry in evidence.grid):
        entries = evidence.of_type(type)
        for size in sorted({size for size, _ in entries}):
            deeper = [entry for (s, layers), entry in entries.items() if s == size and layers > 1]
            if (size, 1) in entries and deeper:
                best = min(deeper, key=lambda entry: entry.val_loss)
                pairs.setdefault(type.upper(), []).append((entries[size, 1], best))
    if not pairs:
        raise Missing("networks of one layer and of more, of the same type and size")
    return mean_of_pairs(evidence, pairs, "one layer")


def beats_rnn(type: str) -> Callable[[Evidence], list[Finding]]:
    """Effect: loss of the RNN minus loss of this type, mean over the layers and sizes that both
    have; nats per character."""

    def beats(evidence: Evidence) -> list[Finding]:
        pairs: dict[str, list[Pair]] = {}
        rnns = evidence.of_type("rnn")
        for key, entry in sorted(evidence.of_type(type).items()):
            if key in rnns:
                pairs.setdefault(f"size {entry.key.size}", []).append((rnns[key], entry))
        if not pairs:
            raise Missing(f"RNN and {type.upper()} with the same layers and size")
        return mean_of_pairs(evidence, pairs, "the RNN")

    beats.__doc__ = beats_rnn.__doc__.replace("this type", f"the {type.upper()}")
    return beats


def mean_of_pairs(evidence: Evidence, groups: dict[str, list[Pair]], against: str) -> list[Finding]:
    """Loss of the first minus loss of the second of each pair, mean over all pairs and per group.

    against: the first of each pair, in words.
    """
    every = [pair for pairs in groups.values() for pair in pairs]
    findings = []
    for part, pairs in [("", every), *groups.items()]:
        share = 1 / len(pairs)
        terms = [
            losses(weight, entry)
            for pair in pairs
            for weight, entry in zip((share, -share), pair, strict=True)
        ]
        effect = measure(evidence, terms)
        count = f"mean of {len(pairs)} pairs: " if len(pairs) > 1 else ""
        names = ", ".join(entry.key.name for _, entry in pairs)
        words = f"{count}{names} against {against}"
        findings.append(
            effect.finding(part, effect.verdict(), words, "" if part else evidence.finished)
        )
    return findings


def lstm_and_gru_mixed(evidence: Evidence) -> list[Finding]:
    """Effect: loss of the GRU minus loss of the LSTM, mean over layers and sizes; nats per
    character. The claim holds if each type is significantly better somewhere, at a level corrected
    for the number of comparisons. It does not hold if one type is significantly better at every
    entry of the grid. Otherwise it is undecided."""
    lstms, grus = evidence.of_type("lstm"), evidence.of_type("gru")
    keys = sorted(set(lstms) & set(grus))
    if not keys:
        raise Missing("LSTM and GRU with the same layers and size")
    level = 1 - 0.05 / len(keys)
    ahead: dict[str, list[str]] = {HOLDS: [], FAILS: [], UNDECIDED: []}
    for size, layers in keys:
        pair = [losses(1, grus[size, layers]), losses(-1, lstms[size, layers])]
        ahead[measure(evidence, pair, level).verdict()].append(f"{layers}x{size}")
    lstm, gru, neither = ahead[HOLDS], ahead[FAILS], ahead[UNDECIDED]
    share = 1 / len(keys)
    effect = measure(
        evidence,
        [losses(w, entries[k]) for k in keys for w, entries in ((share, grus), (-share, lstms))],
    )
    unknown = neither or evidence.lacks("lstm", "gru")
    verdict = HOLDS if lstm and gru else UNDECIDED if unknown else FAILS
    counted = [
        f"{words} {', '.join(shapes)}"
        for words, shapes in (("LSTM ahead at", lstm), ("GRU at", gru), ("not separated:", neither))
        if shapes
    ]
    return [effect.finding("", verdict, *counted, evidence.finished)]


def best_beats_ngram(evidence: Evidence) -> list[Finding]:
    """Effect: loss of the longest n-gram minus loss of the recurrent network that is best on
    validation; nats per character. While an entry of the grid is missing, the claim cannot fail
    and is undecided instead."""
    best, ngram = evidence.best(), evidence.largest_ngram()
    effect = measure(evidence, [(1, [ngram], LOSS), (-1, [best], LOSS)])
    verdict = effect.verdict()
    if verdict == FAILS and evidence.lacks():
        verdict = UNDECIDED
    names = f"{best.key.name} {best.loss:.3f} against {ngram.key.name} {ngram.loss:.3f}"
    return [effect.finding("", verdict, names, evidence.finished)]


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


def nn_overfits(evidence: Evidence) -> list[Finding]:
    """Effect: loss of the n-NN at the largest n minus its loss at the smaller n that is best on
    validation; nats per character."""
    if len(evidence.nns) < 2:
        raise Missing("n-NN models for two values of n")
    *shorter, last = evidence.nns.values()
    least = min(shorter, key=lambda score: score.meta["val_loss"])
    effect = measure(evidence, [(1, [last], LOSS), (-1, [least], LOSS)])
    words = ", ".join(f"{score.key.name} {score.loss:.3f}" for score in (least, last))
    return [effect.finding("", effect.verdict(), words)]


def common_n(evidence: Evidence) -> list[int]:
    """Every n for which there are both an n-gram and an n-NN, in order."""
    return sorted(set(evidence.ngrams) & set(evidence.nns))


def nn_less_ngram(evidence: Evidence, n: int) -> Effect:
    """Loss of the n-NN minus loss of the n-gram, nats per character."""
    return measure(evidence, [(1, [evidence.nns[n]], LOSS), (-1, [evidence.ngrams[n]], LOSS)])
