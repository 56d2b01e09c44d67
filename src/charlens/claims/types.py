"""Claims about the newer types, those that the paper does not have: their losses, beside those of
the paper's types at the same parameter budgets.

A type with something added (lstm+block, lstm+adamw) is a type of its own, see `store.models`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from charlens.claims.evidence import Evidence, GridEntry, Missing, NotInRun
from charlens.claims.losses import Pair, mean_of, mean_of_pairs, shapes
from charlens.claims.measure import FAILS, HOLDS, LEVEL, UNDECIDED, Finding, measure
from charlens.store.models import VARIANTS, cell_of, recipe_of, type_name, types_in_order
from charlens.store.tables import MISSING, UNFINISHED

RIVALS = ("lstm", "gru")
BOTH = "block+adamw"
RECIPE = [added for added in VARIANTS if recipe_of(f"+{added}") == "adamw"]


def bare(types: Iterable[str]) -> list[str]:
    """Those of the types to which nothing is added."""
    return [type for type in types if type == cell_of(type)]


def best_at(evidence: Evidence, types: Iterable[str]) -> dict[tuple[int, int], GridEntry]:
    """At each size and number of layers the entry of these types that is best on validation."""
    found: dict[tuple[int, int], GridEntry] = {}
    for type in types:
        for shape, entry in evidence.of_type(type).items():
            if shape not in found or entry.val_loss < found[shape].val_loss:
                found[shape] = entry
    return found


def rivals(evidence: Evidence, added: Iterable[str]) -> dict[tuple[int, int], GridEntry]:
    """At each shape that LSTM and GRU both have, the better of them on validation. added: what
    either may have in addition, each the better way of it ("" for nothing)."""
    first, second = (best_at(evidence, [cell + a for a in added]) for cell in RIVALS)
    shared = first.keys() & second.keys()
    return {shape: min(first[shape], second[shape], key=lambda e: e.val_loss) for shape in shared}


def pairs_with(rivals: Mapping, own: Mapping) -> list[Pair]:
    """The rival and one's own entry at each shape that both have, in order."""
    return [(rivals[shape], own[shape]) for shape in sorted(rivals.keys() & own.keys())]


def newer_beats(evidence: Evidence) -> list[Finding]:
    """Effect, for each newer type: the loss of LSTM or GRU, at each size and number of layers the
    better one on validation, minus the loss of the type; mean over the shapes that all three have;
    nats per character. Bare cells by the paper's recipe. The overall effect is that of the type
    with the greatest such lead on validation, so that no test text chooses it; its interval is
    corrected for the number of types among which that one was chosen. While a newer type is not
    trained the claim cannot fail, and is undecided instead."""
    return beats_rivals(evidence, [""])


def newer_beats_in_blocks(evidence: Evidence) -> list[Finding]:
    """As for bare cells, with all cells in blocks: by the paper's recipe, at the shape at which
    these are trained."""
    planned = {key.type for key in evidence.planned_grid}
    newer = {f"{cell_of(type)}+block" for type in evidence.newer_types}
    if evidence.planned and not ({"lstm+block", "gru+block"} <= planned and newer & planned):
        raise NotInRun("no LSTM, GRU and newer type in blocks")
    return beats_rivals(evidence, ["+block"])


def newer_beats_by_its_recipe(evidence: Evidence) -> list[Finding]:
    """As for the paper's recipe, by the AdamW recipe (warm-up, cosine, weight decay). Each type,
    LSTM and GRU included, counts with its cells in blocks or bare, at each shape the better on
    validation; so while one of these two is not trained of LSTM or GRU, the claim cannot hold."""
    if evidence.planned and not any(
        recipe_of(key.type) == "adamw" for key in evidence.planned_grid
    ):
        raise NotInRun("no network by the AdamW recipe")
    return beats_rivals(evidence, [f"+{added}" for added in RECIPE])


def beats_rivals(evidence: Evidence, added: list[str]) -> list[Finding]:
    """The findings whether a newer type, with something of `added`, beats LSTM and GRU with it."""
    evidence.require(type=RIVALS)
    theirs, groups = rivals(evidence, added), {}
    cells = dict.fromkeys(cell_of(type) for type in evidence.newer_types)
    for cell in cells:
        if pairs := pairs_with(theirs, best_at(evidence, [cell + a for a in added])):
            groups[cell] = pairs
    if not groups:
        raise Missing("a newer type, LSTM and GRU with the same layers and size")
    leads = {c: np.mean([r.val_loss - own.val_loss for r, own in g]) for c, g in groups.items()}
    first, findings = max(leads, key=leads.get), []
    for cell, pairs in groups.items():
        effect = measure(evidence, mean_of(pairs))
        words = shapes(pairs, ", ".join(rival.key.name for rival, _ in pairs))
        findings.append(effect.finding(type_name(cell), effect.verdict(), words))
        if cell == first:
            corrected = measure(evidence, mean_of(pairs), 1 - LEVEL / len(groups))
            whole = corrected.finding("", corrected.verdict(), words)
    needed = {FAILS: cells, HOLDS: RIVALS if len(added) > 1 else ()}.get(whole.verdict, ())
    if needed and evidence.lacks(*(c + a for c in needed for a in added)):
        whole = replace(whole, verdict=UNDECIDED, reason=UNFINISHED)
    basis = "; ".join(filter(None, [whole.basis, evidence.finished]))
    return [replace(whole, basis=f"best on validation: {basis}"), *findings]


def additions_help(evidence: Evidence) -> list[Finding]:
    """Effect, for each type and addition: loss of the bare cell by the paper's recipe minus loss
    with the block around each cell, with the AdamW recipe, or with both; mean over the shapes that
    both have; nats per character. Parameters are the same, so a cell in a block has fewer units.
    The overall effect is that of block and recipe together, mean over the types; while a type lacks
    that, the claim is undecided."""
    keys = evidence.networks_of_run
    cells = bare(types_in_order(cell_of(key.type) for key in keys))
    if all(key.type == cell_of(key.type) for key in keys):
        raise NotInRun("no block and no AdamW recipe")
    groups, together = {}, []
    for added in VARIANTS:
        for cell in cells:
            pairs = pairs_with(evidence.of_type(cell), evidence.of_type(f"{cell}+{added}"))
            if pairs:
                groups[f"{type_name(cell)}: {added}"] = pairs
            if added == BOTH:
                together += pairs
    if not groups:
        raise Missing("a bare cell and the same with a block or by the AdamW recipe")
    against = "the bare cell by the paper's recipe"
    _, *parts = mean_of_pairs(evidence, groups, against)
    if not together:
        basis = "missing: a bare cell and the same in a block by the AdamW recipe"
        return [Finding("", UNDECIDED, *(math.nan,) * 3, basis, MISSING), *parts]
    effect, words = measure(evidence, mean_of(together)), shapes(together, against)
    whole = effect.finding("", effect.verdict(), words, evidence.finished)
    if whole.verdict in (HOLDS, FAILS) and evidence.lacks(*(f"{cell}+{BOTH}" for cell in cells)):
        whole = replace(whole, verdict=UNDECIDED, reason=UNFINISHED)
    return [whole, *parts]


def depth_of_two_helps(evidence: Evidence) -> list[Finding]:
    """Effect, for each newer type: loss of one layer minus loss of two, bare cells by the paper's
    recipe; mean over the sizes that have both; nats per character. The overall effect is the mean
    over these types and sizes; the claim is undecided where a type has no such size yet."""
    evidence.require(layers=(1, 2))
    groups = {}
    types = bare(evidence.newer_types)
    for type in types:
        own = evidence.of_type(type)
        sizes = sorted(size for size, layers in own if layers == 2 and (size, 1) in own)
        if sizes:
            groups[type_name(type)] = [(own[size, 1], own[size, 2]) for size in sizes]
    if not groups:
        raise Missing("networks of one layer and of two, of the same newer type and size")
    whole, *parts = mean_of_pairs(evidence, groups, "one layer")
    lacking = [type_name(type) for type in types if type_name(type) not in groups]
    if lacking:
        basis = f"{whole.basis}; no such pair yet: {', '.join(lacking)}"
        whole = replace(whole, basis=basis)
        if whole.verdict == HOLDS:
            whole = replace(whole, verdict=UNDECIDED, reason=UNFINISHED)
    return [whole, *parts]
