"""The claim about which networks predict alike (figure 1, right)."""

import numpy as np

from charlens.claims.evidence import Evidence, GridEntry, Missing
from charlens.claims.measure import Effect, Finding, counted
from charlens.report.figure1 import differences
from charlens.statistics.bootstrap import interval
from charlens.store.models import type_name, types_in_order

PERMUTATIONS = 10_000


def rnns_lie_apart(evidence: Evidence) -> list[Finding]:
    """The distance of two networks is that of their probabilities of the test characters, as in
    figure 1 before it is drawn in two dimensions; mean over their seeds. Only networks of the same
    size are compared. Effect: mean distance of an RNN from an LSTM or GRU, as a multiple of the
    mean distance of an LSTM from a GRU, minus 1. The interval permutes the types among the networks
    of each size (a network's seeds stay together): it is the effect minus what permuted types give.
    It is about these networks. The parts are the same for each size alone."""
    evidence.require(type=("lstm", "gru", "rnn"))
    entries = [e for e in evidence.grid if e.key.type in ("lstm", "gru", "rnn")]
    sizes = sorted({e.key.size for e in entries if e.key.type == "rnn"})
    groups = [[e for e in entries if e.key.size == size] for size in sizes]
    groups = [g for g in groups if {e.key.type for e in g} == {"lstm", "gru", "rnn"}]
    if not groups:
        raise Missing("LSTM, GRU and RNN of the same size")
    blocks = distances(groups)
    parts = [
        finding(f"size {group[0].key.size}", [block], [group])
        for block, group in zip(blocks, groups, strict=True)
    ]
    return [finding("", blocks, groups), *parts]


def finding(part: str, blocks: list[np.ndarray], groups: list[list[GridEntry]]) -> Finding:
    """The finding about the networks of some sizes. blocks: their `distances`."""
    types = [np.array([e.key.type for e in group]) for group in groups]
    observed = apart(blocks, types)
    random = np.random.default_rng(0)
    null = np.array(
        [apart(blocks, [random.permutation(own) for own in types]) for _ in range(PERMUTATIONS)]
    )
    low, high = interval(null)
    effect = Effect(observed, observed - high, observed - low)
    every = [entry for group in groups for entry in group]
    words = (
        f"{counted([len(entry.seeds) for entry in every])}: {names(every)};"
        f" permuted types give {low:+.3f} to {high:+.3f}"
    )
    return effect.finding(part, effect.verdict(), words)


def distances(groups: list[list[GridEntry]]) -> list[np.ndarray]:
    """The distances [E, E] of the entries of each group, mean over pairs of seeds.

    Raises Missing where a network has neither its scores nor a sketch of them.
    """
    scores = [score for group in groups for entry in group for score in entry.seeds]
    if any(score.logp is None and "sketch" not in score.meta["digest"] for score in scores):
        raise Missing("the probabilities of the test characters, or sketches of them")
    points, at, blocks = differences(scores), 0, []
    for group in groups:
        owner = np.repeat(np.arange(len(group)), [len(entry.seeds) for entry in group])
        own = points[at : at + len(owner)]
        at += len(owner)
        between = np.linalg.norm(own[:, None] - own[None], axis=2)
        share = (owner == np.arange(len(group))[:, None]) / np.bincount(owner)[:, None]
        blocks.append(share @ between @ share.T)
    return blocks


def apart(blocks: list[np.ndarray], types: list[np.ndarray]) -> float:
    """Mean distance of an RNN from an LSTM or GRU over that of an LSTM from a GRU, minus 1.

    blocks: distances [E, E] of the networks of each size; types: of the same networks.
    """
    far, near = [], []
    for block, type in zip(blocks, types, strict=True):
        far.append(block[np.ix_(type == "rnn", type != "rnn")].ravel())
        near.append(block[np.ix_(type == "lstm", type == "gru")].ravel())
    return float(np.concatenate(far).mean() / np.concatenate(near).mean() - 1)


def names(entries: list[GridEntry]) -> str:
    """The types, and the layers and sizes that they have: LSTM, RNN, GRU 1x64, 2x64."""
    of_type: dict[str, str] = {}
    for type in types_in_order(entry.key.type for entry in entries):
        own = [entry.key for entry in entries if entry.key.type == type]
        shapes = sorted((key.size, key.layers) for key in own)
        of_type[type_name(type)] = ", ".join(f"{layers}x{size}" for size, layers in shapes)
    alike = dict.fromkeys(of_type.values())
    return "; ".join(
        f"{', '.join(type for type in of_type if of_type[type] == shapes)} {shapes}"
        for shapes in alike
    )
