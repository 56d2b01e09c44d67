"""Claims about the losses of recurrent networks (table 1). They use every network of the paper's
types in the grid; `types` has claims about others."""

from collections.abc import Callable

import numpy as np

from charlens.claims.evidence import LOSS, Evidence, GridEntry, Missing
from charlens.claims.measure import FAILS, HOLDS, LEVEL, UNDECIDED, Finding, Term, losses, measure
from charlens.store.models import PAPER_TYPES, type_name
from charlens.store.tables import UNFINISHED

NO_LEAD = 0.02  # nats: neither of two types leads if the whole interval is this close to zero
Pair = tuple[GridEntry, GridEntry]


def depth_helps(evidence: Evidence) -> list[Finding]:
    """Effect: loss of one layer minus loss of two or three, whichever is better on validation; mean
    over the sizes and types that have both; nats per character. Choosing the better of two favours
    depth by half a seed SD at most."""
    evidence.require(layers=())
    pairs: dict[str, list[Pair]] = {}
    for type in PAPER_TYPES:
        entries = evidence.of_type(type)
        for size in sorted({size for size, _ in entries}):
            deeper = [entry for (s, layers), entry in entries.items() if s == size and layers > 1]
            if (size, 1) in entries and deeper:
                best = min(deeper, key=lambda entry: entry.val_loss)
                pairs.setdefault(type_name(type), []).append((entries[size, 1], best))
    if not pairs:
        raise Missing("networks of one layer and of more, of the same type and size")
    return mean_of_pairs(evidence, pairs, "one layer")


def beats_rnn(type: str) -> Callable[[Evidence], list[Finding]]:
    """Effect, for each size: loss of the RNN minus loss of this type, mean over the layers that
    both have; nats per character. Overall effect: that at the largest size. The claim holds from a
    size on if the whole interval is positive at that size and at all larger ones; the basis says
    from which. It does not hold if the whole interval is negative at the largest size."""

    def beats(evidence: Evidence) -> list[Finding]:
        groups = pairs_by_size(evidence, "rnn", type)
        effects = {size: measure(evidence, mean_of(pairs)) for size, pairs in groups.items()}
        from_on = None
        for size in sorted(groups, reverse=True):
            if effects[size].verdict() != HOLDS:
                break
            from_on = size
        leads = f"the {type_name(type)} leads"
        said = {HOLDS: leads, FAILS: "the RNN leads", UNDECIDED: "not shown"}
        before = [
            f"size {size}: {said[effects[size].verdict()]}"
            for size in groups
            if from_on is None or size < from_on
        ]
        start = [] if from_on is None else [f"from size {from_on} on"]
        largest = max(groups)
        overall = effects[largest].finding(
            "", effects[largest].verdict(), *start, *before, shapes(groups[largest], "the RNN"),
            evidence.finished,
        )  # fmt: skip
        return [
            overall,
            *(
                effects[size].finding(
                    f"size {size}", effects[size].verdict(), shapes(pairs, "the RNN")
                )
                for size, pairs in groups.items()
            ),
        ]

    beats.__doc__ = beats_rnn.__doc__.replace("this type", f"the {type_name(type)}")
    return beats


def pairs_by_size(evidence: Evidence, first: str, second: str) -> dict[int, list[Pair]]:
    """The pairs of entries of two types with the same layers and size, by size, in order.

    Raises Missing where there is none.
    """
    evidence.require(type=(first, second))
    theirs, groups = evidence.of_type(first), {}
    for key, entry in sorted(evidence.of_type(second).items()):
        if key in theirs:
            groups.setdefault(entry.key.size, []).append((theirs[key], entry))
    if not groups:
        raise Missing(f"{type_name(first)} and {type_name(second)} with the same layers and size")
    return groups


def mean_of(pairs: list[Pair], weight: float = 1.0) -> list[Term]:
    """The terms for loss of the first minus loss of the second, mean over the pairs."""
    share = weight / len(pairs)
    return [
        losses(sign * share, entry)
        for pair in pairs
        for sign, entry in zip((1, -1), pair, strict=True)
    ]


def shapes(pairs: list[Pair], against: str) -> str:
    """The pairs in words. against: the first of each pair."""
    count = f"mean of {len(pairs)} pairs: " if len(pairs) > 1 else ""
    return f"{count}{', '.join(entry.key.name for _, entry in pairs)} against {against}"


def mean_of_pairs(evidence: Evidence, groups: dict[str, list[Pair]], against: str) -> list[Finding]:
    """Loss of the first minus loss of the second of each pair, mean over all pairs and per group.

    against: the first of each pair, in words.
    """
    every = [pair for pairs in groups.values() for pair in pairs]
    findings = []
    for part, pairs in [("", every), *groups.items()]:
        effect = measure(evidence, mean_of(pairs))
        words = shapes(pairs, against)
        findings.append(
            effect.finding(part, effect.verdict(), words, "" if part else evidence.finished)
        )
    return findings


MIXED = """Overall effect: by how much the lead shrinks each time that the size doubles (the slope
    of a straight line through the leads). The claim holds if one of the two leads at some size and,
    at another, the other one leads or neither does. It does not hold if one leads at every size.
    Otherwise it is undecided. One leads if the whole interval is on its side, and neither does if
    the whole interval is within 0.02 of zero; for this rule the intervals are corrected for the
    number of sizes."""


def lstm_and_gru_mixed(evidence: Evidence) -> list[Finding]:
    groups = pairs_by_size(evidence, "lstm", "gru")
    return mixed(evidence, groups, "the LSTM", "the GRU", evidence.lacks("lstm", "gru"))


lstm_and_gru_mixed.__doc__ = f"""Effect, for each size: the GRU's lead, the loss of the LSTM minus
    the loss of the GRU, mean over the layers that both have; nats per character. {MIXED}"""


def third_layer_mixed(evidence: Evidence) -> list[Finding]:
    evidence.require(layers=(2, 3))
    groups: dict[int, list[Pair]] = {}
    for type in PAPER_TYPES:
        entries = evidence.of_type(type)
        for size, layers in entries:
            if layers == 3 and (size, 2) in entries:
                groups.setdefault(size, []).append((entries[size, 3], entries[size, 2]))
    if not groups:
        raise Missing("networks of two layers and of three, of the same type and size")
    groups = dict(sorted(groups.items()))
    return mixed(evidence, groups, "three layers", "two layers", evidence.lacks(*PAPER_TYPES))


third_layer_mixed.__doc__ = f"""Effect, for each size: the lead of two layers, the loss of three
    minus the loss of two, mean over the types that have both; nats per character. {MIXED}"""


def mixed(
    evidence: Evidence, groups: dict[int, list[Pair]], first: str, second: str, lacks: bool
) -> list[Finding]:
    """The findings whether neither of two is consistently better, by the rule of MIXED.

    groups: the pairs of both, by size, in order. first, second: what the pairs are of, in words; a
    lead is that of the second. lacks: whether pairs are still to be trained.
    """
    evidence.require(size=())
    if len(groups) < 2:
        raise Missing(f"networks of two sizes, for {first} and {second}")
    doublings = np.log2(list(groups))
    distance = doublings - doublings.mean()
    slopes = -distance / (distance**2).sum()
    terms = [
        term
        for weight, pairs in zip(slopes, groups.values(), strict=True)
        for term in mean_of(pairs, float(weight))
        if weight
    ]
    trend = measure(evidence, terms)
    leads: dict[str, list[int]] = {second: [], first: [], "": []}
    findings = []
    for size, pairs in groups.items():
        lead = measure(evidence, mean_of(pairs))
        part = f"lead of {second}, size {size}"
        findings.append(lead.finding(part, lead.verdict(), shapes(pairs, first)))
        corrected = measure(evidence, mean_of(pairs), 1 - LEVEL / len(groups))
        ahead = {HOLDS: second, FAILS: first}.get(corrected.verdict())
        if ahead is not None:
            leads[ahead].append(size)
        elif corrected.agreement(NO_LEAD) == HOLDS:
            leads[""].append(size)
    led = leads[first] + leads[second]
    verdict, reason = UNDECIDED, None
    if (leads[first] and leads[second]) or (led and leads[""]):
        verdict = HOLDS
    elif len(led) == len(groups):
        verdict, reason = (UNDECIDED, UNFINISHED) if lacks else (FAILS, None)
    where = [
        f"{who + ' ahead' if who else 'neither ahead'} at size {', '.join(map(str, sizes))}"
        for who, sizes in leads.items()
        if sizes
    ]
    compared = f"{second} against {first}"
    words = (compared, *where, evidence.finished)
    return [trend.finding("", verdict, *words, reason=reason), *findings]


def best_beats_ngram(evidence: Evidence) -> list[Finding]:
    """Effect: loss of the longest n-gram minus loss of the recurrent network that is best on
    validation; nats per character. While an entry of the grid is missing, the claim cannot fail
    and is undecided instead."""
    best, ngram = evidence.best(), evidence.largest_ngram()
    effect = measure(evidence, [(1, [ngram], LOSS), (-1, [best], LOSS)])
    verdict, reason = effect.verdict(), None
    if verdict == FAILS and evidence.lacks(*PAPER_TYPES):
        verdict, reason = UNDECIDED, UNFINISHED
    names = f"{best.key.name} {best.loss:.3f} against {ngram.key.name} {ngram.loss:.3f}"
    return [effect.finding("", verdict, names, evidence.finished, reason=reason)]
