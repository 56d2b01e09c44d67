"""Claims about what the newer types learn, character by character: to count a line, to close what
was opened long ago, to follow what is nested, and which errors they no longer make.

They are about bare cells by the paper's recipe. (A type with something added has one shape.)
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from charlens.claims.evidence import Evidence, GridEntry, Missing, NotInRun, Statistic
from charlens.claims.measure import (
    FAILS,
    HOLDS,
    LEVEL,
    UNDECIDED,
    Effect,
    Finding,
    Term,
    measure,
)
from charlens.claims.reach import mean_probability, mean_probability_of
from charlens.claims.seeds import line_break
from charlens.claims.types import bare
from charlens.networks.cells import reads_windows
from charlens.statistics import oracles
from charlens.store.models import type_name, types_in_order
from charlens.store.scores import Score
from charlens.store.tables import CROSSES, MISSING, UNFINISHED
from charlens.text import symbols

COUNTS = 0.1  # of probability, above the n-gram's: a network that counts the line
NESTED = 2  # open brackets: from here on a bracket is nested
FEW = 20  # closing marks or brackets: a probability of fewer is not reported
REFERENCE = "lstm"  # to which newer types are compared at the same shape
NOTHING = (math.nan,) * 3  # an effect that is not known, and its interval


# ---- what is learned, and from which size on ----


LEARNED = """Effect, for each type: that probability minus the n-gram's, at the type's largest
    size, with the number of layers that is best on validation. A type learns it from a size on if
    the whole interval is beyond the bar at that size and at all larger ones; the basis says from
    which, and gives the effect of each network. The claim holds if every newer type learns it, and
    does not if the whole interval of one is below the bar, corrected for the number of types; where
    it does not hold, the overall interval is corrected, too. The paper's types stand beside them. A
    network from one seed may have learned by luck what another seed does not."""


def lines_are_counted(evidence: Evidence) -> list[Finding]:
    if evidence.about["kind"] != "prose":
        return []
    symbol = line_break(evidence.split)
    if symbol is None:
        raise Missing("a line break in the test text")
    return learned(evidence, mean_probability_of(bytes([symbol])), COUNTS)


lines_are_counted.__doc__ = f"""Where lines end at a fixed width, a line break needs a count of some
    seventy characters, which an n-gram cannot see. A network counts if it gives the character that
    begins a line break a mean probability more than 0.1 above the longest n-gram's. {LEARNED}"""


def far_quotes_are_closed(evidence: Evidence) -> list[Finding]:
    return learned(evidence, far(evidence, "quotes"))


far_quotes_are_closed.__doc__ = f"""A network closes a quotation if it gives the closing mark a
    higher mean probability than the longest n-gram, where the opening mark lies before the n-gram's
    context. {LEARNED}"""


def far_braces_are_closed(evidence: Evidence) -> list[Finding]:
    if evidence.about["kind"] != "code":
        return []
    return learned(evidence, far(evidence, "braces"))


far_braces_are_closed.__doc__ = f"""A network closes a block if it gives a closing brace a higher
    mean probability than the longest n-gram, where the opening brace lies before the n-gram's
    context. {LEARNED}"""


def far(evidence: Evidence, marks: str) -> Statistic:
    """The mean probability of closing marks ("quotes" or "braces") that were opened before the
    longest n-gram's context. Raises Missing where there are few."""
    context = evidence.largest_ngram().key.n

    def chosen(evidence: Evidence) -> np.ndarray:
        index, distance = getattr(evidence, marks)
        return marked(evidence, index[distance > context])

    far = f"closing {marks} more than {context} characters after their opening"
    statistic = mean_probability(chosen, f"probability of {far}")
    _, counts = statistic.sums(evidence, evidence.largest_ngram())
    if counts.sum() < FEW:
        raise Missing(f"{FEW} {far}")
    return statistic


def marked(evidence: Evidence, index: np.ndarray) -> np.ndarray:
    """Which test characters have these indices, bool [N]."""
    mask = np.zeros(evidence.characters.size, dtype=bool)
    mask[index] = True
    return mask


def learned(evidence: Evidence, statistic: Statistic, bar: float = 0.0) -> list[Finding]:
    """The findings whether the newer types learn what a statistic measures: see LEARNED."""
    ngram, newer = evidence.largest_ngram(), bare(evidence.newer_types)
    statistic.sums(evidence, ngram)  # raises Missing where nothing can be measured
    types = bare(types_in_order(entry.key.type for entry in evidence.grid))
    parts, effects, corrected = {}, {}, {}
    for type in types:
        entries = evidence.of_type(type)
        largest = best(entries, max(size for size, _ in entries))
        if not measurable(evidence, statistic, largest):
            words = f"missing: the scores of {largest.key.name}, character by character"
            parts[type] = Finding(type_name(type), UNDECIDED, *NOTHING, words, MISSING)
            continue
        found, unseen = gains_by_size(evidence, statistic, ngram, entries)
        from_on = f"from size {size} on" if (size := first_size(found, bar)) else ""
        of_each = gain_of_each(evidence, statistic, ngram, entries)
        words = (from_on, unseen, f"above the {ngram.key.name}: {of_each}")
        effects[type] = found[max(found)]
        part = effects[type].finding(type_name(type), effects[type].verdict(bar), *words)
        if part.verdict == FAILS and evidence.lacks(type):  # what more layers learn, say
            part = replace(part, verdict=UNDECIDED, reason=UNFINISHED)
        parts[type] = part
        if type in newer:
            level = 1 - LEVEL / len(newer)
            corrected[type] = gain(evidence, statistic, ngram, largest, level)
    own = [type for type in types if type in newer]
    if not corrected:
        raise Missing("a network of a newer type" + ", and its scores" * bool(own))
    least = min(corrected, key=lambda type: effects[type].value)
    below = any(
        effect.verdict(bar) == FAILS and not evidence.lacks(type)
        for type, effect in corrected.items()
    )
    verdict = FAILS if below else overall(parts[type].verdict for type in own)
    whole = effects[least] if verdict == HOLDS else corrected[least]
    reason = next((parts[type].reason for type in own if parts[type].reason), None)
    if verdict == HOLDS and evidence.lacks(*newer):
        verdict, reason = UNDECIDED, UNFINISHED
    words = (said(parts, own), f"the least: {parts[least].basis}", evidence.finished)
    whole = replace(whole, basis="").finding("", verdict, *words, reason=reason)
    return [whole, *parts.values()]


def measured(evidence: Evidence, statistic: Statistic, *entries: GridEntry) -> None:
    """Measure these networks. Raises Missing where what is known of their scores does not do."""
    for entry in entries:
        for score in entry.seeds:
            statistic.sums(evidence, score)


def measurable(evidence: Evidence, statistic: Statistic, entry: GridEntry) -> bool:
    """Whether what is known of a network's scores suffices for a statistic."""
    with contextlib.suppress(Missing):
        measured(evidence, statistic, entry)
        return True
    return False


def gains_by_size(
    evidence: Evidence, statistic: Statistic, ngram: Score, entries: dict
) -> tuple[dict[int, Effect], str]:
    """The gain of the best network of each size that can be measured, and in words which sizes
    cannot."""
    found, unseen = {}, []
    for size in sorted({size for size, _ in entries}):
        if measurable(evidence, statistic, best(entries, size)):
            found[size] = gain(evidence, statistic, ngram, best(entries, size))
        else:
            unseen.append(str(size))
    return found, f"not looked at: size {', '.join(unseen)}" if unseen else ""


def gain_of_each(evidence: Evidence, statistic: Statistic, ngram: Score, entries: dict) -> str:
    """The gain of each network for which it is known, in words."""
    known = []
    for _, entry in sorted(entries.items()):
        with contextlib.suppress(Missing):
            gained = single(evidence, statistic, ngram, entry)
            known += [f"{entry.key.name} {gained:+.3f}"] if math.isfinite(gained) else []
    return ", ".join(known)


def gain(
    evidence: Evidence, statistic: Statistic, ngram: Score, entry: GridEntry, level: float = 0.95
) -> Effect:
    """A network's mean of a statistic minus the n-gram's."""
    return measure(evidence, [(1, entry.seeds, statistic), (-1, [ngram], statistic)], level)


def single(evidence: Evidence, statistic: Statistic, ngram: Score, entry: GridEntry) -> float:
    """The same without an interval."""
    own = np.mean([statistic.value(evidence, score) for score in entry.seeds])
    return float(own - statistic.value(evidence, ngram))


def best(entries: dict[tuple[int, int], GridEntry], size: int) -> GridEntry:
    """Of the entries of this size the one that is best on validation."""
    return min((e for (s, _), e in entries.items() if s == size), key=lambda e: e.val_loss)


def first_size(found: dict[int, Effect], bar: float) -> int | None:
    """The smallest size from which on all effects are above the bar; None where there is none."""
    first = None
    for size in sorted(found, reverse=True):
        if found[size].verdict(bar) != HOLDS:
            break
        first = size
    return first


def overall(verdicts) -> str:
    """The verdict of all: holds if each does, undecided otherwise."""
    return HOLDS if all(verdict == HOLDS for verdict in verdicts) else UNDECIDED


def said(parts: dict[str, Finding], types) -> str:
    """Which of these types have each verdict, in words."""
    of = {v: [parts[t].part for t in types if parts[t].verdict == v] for v in
          (HOLDS, FAILS, UNDECIDED)}  # fmt: skip
    return "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in of.items() if names)


# ---- what is nested ----


def windows_lose_nesting(evidence: Evidence) -> list[Finding]:
    """A type that reads a window at once does not let its state decide what becomes of it, as a
    count of open brackets may need. Its deficit is the mean probability of a closing ")" or "]"
    under the LSTM of the same size and layers minus that under the type. Effect: its deficit where
    two brackets or more are open minus its deficit where one is; mean over the shapes that both
    have. The overall effect is the mean over these types. The last part gives the same for types
    that read step by step, as the LSTM does."""
    if evidence.about["kind"] != "code":
        return []
    evidence.require(type=(REFERENCE,))
    groups = shared_shapes(evidence)
    if not groups:
        raise missing_types(evidence, "reads a window at once", reads_windows)
    groups, unseen = looked_at(evidence, groups, OUTER, INNER)
    lstm = next(iter(groups.values()))[0][0].seeds[0]
    counts = [int(of.sums(evidence, lstm)[1].sum()) for of in (OUTER, INNER)]
    if min(counts) < FEW:
        raise Missing(f"{FEW} closing brackets that are nested, and as many that are not")
    at_once = {type: pairs for type, pairs in groups.items() if reads_windows(type)}
    stepwise = [pair for type, pairs in groups.items() if type not in at_once for pair in pairs]
    if not at_once:
        raise missing_types(evidence, "reads a window at once", reads_windows)
    words = f"{counts[1]} nested closing brackets, {counts[0]} others"
    every = [pair for pairs in at_once.values() for pair in pairs]
    named = [("", every), *((type_name(type), pairs) for type, pairs in at_once.items())]
    if stepwise:
        named.append(("step by step", stepwise))
    findings = []
    for part, pairs in named:
        effect = measure(evidence, deficit(pairs))
        own = ", ".join(dict.fromkeys(entry.key.name for _, entry in pairs))
        about = f"{own} against the LSTM: {words}"
        findings.append(effect.finding(part, effect.verdict(), about, "" if part else unseen))
    return findings


def outer(evidence: Evidence) -> np.ndarray:
    """The closing brackets that are within no other, bool [N]."""
    index, depth = evidence.nested
    return marked(evidence, index[depth < NESTED])


def inner(evidence: Evidence) -> np.ndarray:
    """The closing brackets within another, bool [N]."""
    index, depth = evidence.nested
    return marked(evidence, index[depth >= NESTED])


OUTER = mean_probability(outer, "probability of closing brackets within no other")
INNER = mean_probability(inner, "probability of closing brackets within another")


def deficit(pairs: list[tuple[GridEntry, GridEntry]]) -> list[Term]:
    """The terms for a deficit on nested brackets minus that on others, mean over pairs (LSTM, type
    of the same shape)."""
    return [
        (sign * side / len(pairs), entry.seeds, statistic)
        for pair in pairs
        for sign, entry in zip((1, -1), pair, strict=True)
        for side, statistic in ((1, INNER), (-1, OUTER))
    ]


def shared_shapes(evidence: Evidence) -> dict[str, list[tuple[GridEntry, GridEntry]]]:
    """For each other type the pairs of LSTM and this type at the shapes that both have."""
    theirs, groups = evidence.of_type(REFERENCE), {}
    for type in bare(types_in_order(entry.key.type for entry in evidence.grid)):
        own = evidence.of_type(type)
        pairs = [(theirs[shape], own[shape]) for shape in sorted(theirs.keys() & own.keys())]
        if pairs and type != REFERENCE:
            groups[type] = pairs
    return groups


def looked_at(
    evidence: Evidence, groups: dict[str, list[tuple[GridEntry, GridEntry]]], *needed: Statistic
) -> tuple[dict[str, list[tuple[GridEntry, GridEntry]]], str]:
    """The pairs of which all that is needed is known, by type, and in words the networks that are
    left out. Raises Missing where no pair is left."""
    known, unseen, why = {}, [], None
    for type, pairs in groups.items():
        for pair in pairs:
            try:
                for statistic in needed:
                    measured(evidence, statistic, *pair)
                known.setdefault(type, []).append(pair)
            except Missing as missing:
                unseen.append(pair[1].key.name)
                why = missing
    if not known:
        raise why
    return known, f"not looked at: {', '.join(unseen)}" if unseen else ""


def missing_types(evidence: Evidence, which: str, fits: Callable[[str], bool]) -> Missing:
    """What to raise where no pair of the LSTM and such a type is trained."""
    planned = [type for type in bare(evidence.newer_types) if fits(type)]
    if not planned:
        return NotInRun(f"no newer type that {which}")
    return Missing(f"LSTM and a newer type that {which}, of the same layers and size")


# ---- errors ----


def newer_remove_errors(evidence: Evidence) -> list[Finding]:
    """An error is a test character given a probability below 0.5; its category is the first oracle
    of figure 6 that removes it. Effect, for each newer type and category: the rate of such errors
    of the LSTM minus that of the type, mean over the shapes that both have; share of the test
    characters. A part holds if the type makes fewer, and does not if it makes more. The overall
    finding is that of the type and category whose interval lies highest, and holds if it is all
    positive. It does not hold if none of the intervals is positive anywhere. For these two rules,
    and in the overall finding, intervals are corrected for the number of types and categories."""
    evidence.require(type=(REFERENCE,))
    groups = {t: p for t, p in shared_shapes(evidence).items() if t in evidence.newer_types}
    if not groups:
        raise missing_types(evidence, "is compared", lambda type: True)
    rates = {category: error_rate(evidence, category) for category in oracles.CATEGORIES}
    groups, unseen = looked_at(evidence, groups, *rates.values())
    parts, corrected = [], []
    level = 1 - LEVEL / (len(groups) * len(oracles.CATEGORIES))
    for type, pairs in groups.items():
        for category in oracles.CATEGORIES:
            terms = [
                (sign / len(pairs), entry.seeds, rates[category])
                for pair in pairs
                for sign, entry in zip((1, -1), pair, strict=True)
            ]
            effect = measure(evidence, terms)
            shapes = ", ".join(entry.key.name for _, entry in pairs)
            part = f"{type_name(type)}: {category}"
            parts.append(effect.finding(part, effect.verdict(), f"{shapes} against the LSTM"))
            corrected.append(measure(evidence, terms, level))
    highest = max(range(len(parts)), key=lambda at: corrected[at].low)
    verdict = corrected[highest].verdict()
    reason = corrected[highest].finding("", verdict).reason
    if all(effect.verdict() == FAILS for effect in corrected) and not evidence.lacks():
        verdict, reason = FAILS, ""
    elif verdict == FAILS:
        verdict, reason = UNDECIDED, UNFINISHED if evidence.lacks() else CROSSES
    words = (f"{parts[highest].part}: {parts[highest].basis}", unseen)
    whole = replace(corrected[highest], basis="").finding("", verdict, *words, reason=reason)
    return [whole, *parts]


def error_rate(evidence: Evidence, category: str) -> Statistic:
    """The share of test characters that are errors of this category."""

    def sums(evidence: Evidence, score: Score) -> tuple[np.ndarray, np.ndarray]:
        if score.logp is None:
            raise Missing(f"the scores of {score.key.label}, character by character")
        streams, length = evidence.split["test_y"].shape
        key = ("errors", score.path)
        if key not in evidence.known:
            evidence.known[key] = errors_of(evidence, score.logp)
        return evidence.known[key][category], np.full(streams, float(length))

    contexts = ", ".join(map(str, evidence.ngrams))  # what the n-gram oracle removes depends on
    return Statistic(sums, name=f"errors: {category}, n-grams of n = {contexts}")


def errors_of(evidence: Evidence, logp: np.ndarray) -> dict[str, np.ndarray]:
    """For each category the number of errors in each test stream, [S]."""
    counts = dict.fromkeys(oracles.CATEGORIES, np.zeros(len(evidence.split["test_y"])))
    for category, _, own in oracles.removed(logp, applied(evidence)):
        counts[category] = counts[category] + evidence.per_stream(own)
    return counts


def applied(evidence: Evidence) -> list[oracles.Oracle]:
    """The oracles of figure 6 but for the boost, made once. Raises Missing where the text
    or the scores of n-grams are not here."""
    if "oracles" not in evidence.known:
        split, ngrams = evidence.split, evidence.ngrams.items()
        if evidence.text is None:
            raise Missing("the text and its training streams")
        by_n = {n: score.logp for n, score in ngrams if score.logp is not None}
        if not by_n:
            raise Missing("the scores of an n-gram model, character by character")
        at = split["test_at"][:, None] + np.arange(split["test_y"].shape[1])
        training = [symbols.text_of(stream) for stream in split["alphabet"][split["train_y"]]]
        evidence.known["oracles"] = oracles.oracles(evidence.text, at.ravel(), training, by_n)
    return evidence.known["oracles"]
