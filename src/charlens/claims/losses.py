"""Claims about losses (tables 1 and 2). They use every network of the grid."""

from collections.abc import Callable

from charlens.claims.evidence import LOSS, Evidence, GridEntry, Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED, Effect, Finding, losses, measure
from charlens.store.models import types_in_order

SMALL_N = 2  # n-gram and n-NN should agree up to this n ...
AGREE = 0.05  # ... within so many nats per character
Pair = tuple[GridEntry, GridEntry]


def depth_helps(e: Evidence) -> list[Finding]:
    """Effect: loss of one layer minus loss of two or three (which, validation says), mean over
    the sizes and types that have both; nats per character. The choice between two speaks for
    depth, by half a seed SD at the most."""
    pairs: dict[str, list[Pair]] = {}
    for type in types_in_order(entry.key.type for entry in e.grid):
        entries = e.of_type(type)
        for size in sorted({size for size, _ in entries}):
            deeper = [entry for (s, layers), entry in entries.items() if s == size and layers > 1]
            if (size, 1) in entries and deeper:
                best = min(deeper, key=lambda entry: entry.val_loss)
                pairs.setdefault(type.upper(), []).append((entries[size, 1], best))
    if not pairs:
        raise Missing("one layer and more, of the same type and size")
    return mean_of_pairs(e, pairs, "one layer")


def beats_rnn(type: str) -> Callable[[Evidence], list[Finding]]:
    """Effect: loss of the RNN minus loss of this type, mean over the layers and sizes that both
    have; nats per character."""

    def beats(e: Evidence) -> list[Finding]:
        pairs: dict[str, list[Pair]] = {}
        rnns = e.of_type("rnn")
        for key, entry in sorted(e.of_type(type).items()):
            if key in rnns:
                pairs.setdefault(f"size {entry.key.size}", []).append((rnns[key], entry))
        if not pairs:
            raise Missing(f"RNN and {type.upper()} of the same layers and size")
        return mean_of_pairs(e, pairs, "the RNN")

    beats.__doc__ = beats_rnn.__doc__.replace("this type", f"the {type.upper()}")
    return beats


def mean_of_pairs(e: Evidence, groups: dict[str, list[Pair]], against: str) -> list[Finding]:
    """Loss of the first minus loss of the second, mean over all pairs and over each group.

    against: what the first of each pair is, in words.
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
        effect = measure(e, terms)
        count = f"mean of {len(pairs)} pairs: " if len(pairs) > 1 else ""
        names = ", ".join(entry.key.name for _, entry in pairs)
        words = f"{count}{names} against {against}"
        findings.append(effect.finding(part, effect.verdict(), words, "" if part else e.finished))
    return findings


def lstm_and_gru_mixed(e: Evidence) -> list[Finding]:
    """Effect: loss of the GRU minus loss of the LSTM, mean over layers and sizes. It holds if each
    type wins somewhere beyond chance, at a level corrected for the number of comparisons; it does
    not if the same one wins everywhere. Where a pair is missing or not separated, the other may
    still be ahead, and nothing is decided."""
    lstms, grus = e.of_type("lstm"), e.of_type("gru")
    keys = sorted(set(lstms) & set(grus))
    if not keys:
        raise Missing("LSTM and GRU of the same layers and size")
    level = 1 - 0.05 / len(keys)
    ahead: dict[str, list[str]] = {HOLDS: [], FAILS: [], UNDECIDED: []}
    for size, layers in keys:
        pair = [losses(1, grus[size, layers]), losses(-1, lstms[size, layers])]
        ahead[measure(e, pair, level).verdict()].append(f"{layers}x{size}")
    lstm, gru, neither = ahead[HOLDS], ahead[FAILS], ahead[UNDECIDED]
    share = 1 / len(keys)
    effect = measure(
        e, [losses(w, entries[k]) for k in keys for w, entries in ((share, grus), (-share, lstms))]
    )
    unknown = neither or e.lacks("lstm", "gru")
    verdict = HOLDS if lstm and gru else UNDECIDED if unknown else FAILS
    counted = [
        f"{words} {', '.join(shapes)}"
        for words, shapes in (("LSTM ahead at", lstm), ("GRU at", gru), ("not separated:", neither))
        if shapes
    ]
    return [effect.finding("", verdict, *counted, e.finished)]


def best_beats_ngram(e: Evidence) -> list[Finding]:
    """Effect: loss of the longest n-gram minus loss of the recurrent network that is best on
    validation; nats per character. While an entry of the grid is missing, it cannot fail."""
    best, ngram = e.best(), e.largest_ngram()
    effect = measure(e, [(1, [ngram], LOSS), (-1, [best], LOSS)])
    verdict = effect.verdict()
    if verdict == FAILS and e.lacks():
        verdict = UNDECIDED
    names = f"{best.key.name} {best.loss:.3f} against {ngram.key.name} {ngram.loss:.3f}"
    return [effect.finding("", verdict, names, e.finished)]


def nn_agrees(e: Evidence) -> list[Finding]:
    """Effect: loss of the n-NN minus loss of the n-gram, for n up to 2; they agree if the interval
    lies within 0.05 nats per character of 0. The whole is the n with the largest difference."""
    effects = {n: nn_less_ngram(e, n) for n in common_n(e) if n <= SMALL_N}
    if not effects:
        raise Missing(f"an n-gram and an n-NN with the same n up to {SMALL_N}")
    worst = max(effects, key=lambda n: abs(effects[n].value))
    return [
        effects[n].finding(part, effects[n].agreement(AGREE), f"{n}-NN against {n}-gram")
        for part, n in [("", worst), *((f"n = {n}", n) for n in effects)]
    ]


def nn_falls_behind(e: Evidence) -> list[Finding]:
    """Effect: how much the n-NN's disadvantage to the n-gram grows from the smallest n to the
    largest that both have; nats per character."""
    shared = common_n(e)
    if len(shared) < 2:
        raise Missing("n-gram and n-NN models with two n in common")
    first, last = shared[0], shared[-1]
    terms = [
        (sign * side, [models[n]], LOSS)
        for n, sign in ((last, 1), (first, -1))
        for models, side in ((e.nns, 1), (e.ngrams, -1))
    ]
    effect = measure(e, terms)
    behind = [
        f"{n}-NN {e.nns[n].loss - e.ngrams[n].loss:+.3f} against {n}-gram" for n in (first, last)
    ]
    return [effect.finding("", effect.verdict(), ", ".join(behind))]


def nn_overfits(e: Evidence) -> list[Finding]:
    """A longer context makes the n-NN worse. Effect: its loss at the largest n minus its lowest at
    a smaller n; nats per character."""
    if len(e.nns) < 2:
        raise Missing("n-NN models of two n")
    *shorter, last = e.nns.values()
    least = min(shorter, key=lambda score: score.meta["val_loss"])
    effect = measure(e, [(1, [last], LOSS), (-1, [least], LOSS)])
    words = ", ".join(f"{score.key.name} {score.loss:.3f}" for score in (least, last))
    return [effect.finding("", effect.verdict(), words)]


def common_n(e: Evidence) -> list[int]:
    return sorted(set(e.ngrams) & set(e.nns))


def nn_less_ngram(e: Evidence, n: int) -> Effect:
    return measure(e, [(1, [e.nns[n]], LOSS), (-1, [e.ngrams[n]], LOSS)])
