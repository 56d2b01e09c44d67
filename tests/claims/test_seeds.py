"""How numbers vary with the seed: one group of seeds, or two."""

import dataclasses

import numpy as np
import pytest
from constructed import LENGTH, S, evidence, network, ngram, part, whole

from charlens.claims import losses, seeds
from charlens.claims.evidence import LOSS
from charlens.claims.measure import UNDECIDED, measure
from charlens.claims.seeds import (
    FEWEST,
    Spread,
    from_means,
    line_break,
    spread,
    two_groups,
    upper_group,
)
from charlens.statistics.bootstrap import interval

LINES = {"split": {"alphabet": np.frombuffer(b"\n\ra", np.uint8)}}
JUMP = 0.05  # nats that counting the length of a line is worth, here


def counting(type, layers, size, loss, *learned, spread=0.001):
    """The seeds of an entry, as digests: some have learned where lines end."""
    found = []
    for seed, knows in enumerate(learned, start=1):
        value = loss - JUMP * knows + spread * (seed % 3 - 1)
        score = network(type, layers, size, value, seed)
        symbols = [0.9, 0.27 + 0.3 * knows + 0.001 * seed, 0.5]
        about = score.meta["digest"] = {"characters": S * LENGTH, "loss": value}
        about |= {"streams": [value] * S, "symbols": symbols}
        found.append(dataclasses.replace(score, logp=None))
    return found


GRID = [
    counting("lstm", 1, 64, 1.4, True, False, False),
    counting("lstm", 1, 128, 1.3, True, True, True),
    counting("lstm", 1, 512, 1.1, True),
    counting("rnn", 1, 64, 1.4, False, False, False),
]
# Networks of other sizes, one seed each, so that there are enough for two groups.
MORE = [counting("lstm", 1, size, 1.2, size % 2 == 0) for size in range(1, FEWEST + 1)]


def test_two_groups():
    up = np.array([True, False, True, False, False, True] * 3)
    values = np.where(up, 0.5, 0.26) + 0.01 * np.arange(len(up)) / len(up)
    assert two_groups(values).tolist() == up.tolist()
    random = np.random.default_rng(0)
    for _ in range(100):
        assert two_groups(random.normal(size=40)) is None
        assert two_groups(random.uniform(size=40)) is None
    assert two_groups(np.array([0.1, *np.linspace(0.5, 0.7, 20)])) is None  # one is no group
    for few in range(FEWEST):
        assert two_groups(values[:few]) is None


@pytest.mark.parametrize(
    ("values", "rate", "of_six"), [("normal", 0.02, 0.22), ("uniform", 0.06, 0.34)]
)
def test_how_often_one_group_seems_to_be_two(values, rate, of_six, monkeypatch):
    """By chance alone, in the smallest number of networks that is grouped, and in fewer."""
    random = np.random.default_rng(0)
    draw = getattr(random, values)

    def seen(count):
        return np.mean([two_groups(draw(size=count)) is not None for _ in range(2000)])

    assert seen(FEWEST) == pytest.approx(rate, abs=0.015)
    assert seen(2 * FEWEST) < 0.005
    monkeypatch.setattr(seeds, "FEWEST", 4)
    assert seen(6) == pytest.approx(of_six, abs=0.03)


def test_the_group_of_a_network_is_seen_at_line_breaks():
    found = upper_group(evidence(*GRID, *MORE, **LINES))
    assert [found[score.path] for scores in GRID for score in scores] == [
        True, False, False, True, True, True, True, False, False, False,
    ]  # fmt: skip
    assert upper_group(evidence(*GRID, *MORE)) is None  # a text without lines
    learned = [counting("lstm", 2, size, 1.2, True) for size in range(FEWEST)]
    assert upper_group(evidence(*GRID[1:3], *learned, **LINES)) is None  # all have learned it
    assert upper_group(evidence(*GRID, **LINES)) is None  # too few to tell


@pytest.mark.parametrize(
    ("line", "stray", "first"),
    [(b"ab\n", b"a\r\n", b"\n"), (b"ab\r\n", b"ab\n", b"\r"), (b"ab\n", b"a\r", b"\n")],
)
def test_a_line_break_is_what_begins_most_line_breaks(line, stray, first):
    """A few line ends of another kind do not change which symbol tells the groups."""
    text = np.frombuffer(line * 20 + stray, np.uint8)
    alphabet, codes = np.unique(text, return_inverse=True)
    for training in (codes, codes[:3]):  # the stray one in the test text alone, or in both
        split = {"alphabet": alphabet, "train_y": training[None], "test_y": codes[None]}
        assert line_break(split) == ord(first)


def test_seeds_in_two_groups_are_resampled_where_both_occur():
    e = evidence(*GRID, *MORE, **LINES)
    of = {entry.key.size: spread(e, [(1, LOSS)], entry.key) for entry in e.grid[:3]}
    assert sorted(abs(of[64].deviations)) == pytest.approx(
        [JUMP / 3 * 1.5**0.5] * 2 + [2 * JUMP / 3 * 1.5**0.5], abs=2e-3
    )
    assert of[64].freedom == 2
    # where all have learned it, what counts is the deviation among those that have
    for size in (128, 512):
        assert of[size].deviations is None and of[size].sd < 0.002
    alone = measure(e, [(1, GRID[2], LOSS)])
    assert alone.high - alone.low < 0.01 < JUMP
    assert "seed SD within a group 0.00" in alone.basis and "1 network, 1 seed;" in alone.basis
    both = measure(e, [(1, GRID[0], LOSS), (-1, GRID[3], LOSS)])
    assert both.high - both.low > JUMP / 2
    assert "seeds in two groups, resampled: LSTM of size 64" in both.basis


def test_a_type_with_one_seed_may_fall_in_either_group():
    """Its own seeds would tell; the other types' of its size stand in."""
    e = evidence(*GRID, *MORE, counting("gru", 1, 64, 1.4, True), **LINES)
    found = spread(e, [(1, LOSS)], e.grid[-1].key)
    assert len(found.deviations) == 6 and abs(found.deviations).max() > JUMP / 2
    assert spread(e, [(1, LOSS)], e.grid[3].key).deviations is None  # an RNN: all in one group


def test_seeds_of_the_same_text_in_another_publication_keep_their_groups():
    """`claims: seeds_from`: a run with one seed of each network. Those of another text do not."""
    for corpus, expected in (("wp", 3), ("lk", None)):
        run = evidence(counting("lstm", 1, 64, 1.4, True), **LINES)
        other = evidence(*GRID, *MORE, **LINES)
        other.about = {"corpus": corpus, "title": "Published"}
        run.everything = [run, other]
        found = spread(run, [(1, LOSS)], run.grid[0].key)
        assert found.whose == " of Published"
        assert (None if found.deviations is None else len(found.deviations)) == expected


def test_an_interval_is_turned_around_where_deviations_are_lopsided():
    # one seed in three is far below: a mean of three seeds is further above the truth than below
    low = Spread(0.01, 6, deviations=np.array([-2.0, 1.0, 1.0] * 3))
    drawn = low.draw(np.random.default_rng(0), 50_000, 1)
    assert abs(drawn.mean()) < 0.02 and (drawn > 0).mean() == pytest.approx(2 / 3, abs=0.01)
    e = evidence(*GRID, *MORE, ngram(20, 1.2), **LINES)
    effect = measure(e, [(1, GRID[0], LOSS)])
    assert effect.high - effect.value != pytest.approx(effect.value - effect.low, rel=0.05)


def test_two_groups_of_seeds_give_the_right_interval():
    """Three entries with three seeds each, of which a share between 0.2 and 0.8 is in the upper
    group: 95% intervals of their mean cover the truth in 93% to 97% of the simulations in which
    both groups are seen."""
    random, hits, trials = np.random.default_rng(1), 0, 0
    while trials < 2000:
        share = random.uniform(0.2, 0.8)
        upper = random.random((3, 3)) < share
        if not any(0 < row.sum() < 3 for row in upper):
            continue
        trials += 1
        values = upper + 0.1 * random.normal(size=upper.shape)
        deviations, freedom = from_means(values.tolist())
        known = Spread(0.1, freedom, deviations=deviations)
        drawn = sum(known.draw(random, 1000, 3) for _ in range(3)) / 3
        low, high = interval(values.mean() - drawn)
        hits += low < share < high
    assert 0.93 < hits / trials < 0.97


def test_one_group_of_seeds_gives_the_right_interval():
    """95% intervals of a network's single seed, from the deviations of others in its group."""
    random, hits = np.random.default_rng(1), 0
    for _ in range(2000):
        others = random.normal(size=(4, 3))
        deviations, freedom = from_means(others.tolist())
        known = Spread(float(np.sqrt((deviations**2).mean())), freedom)
        low, high = interval(random.normal() - known.draw(random, 1000, 1))
        hits += low < 0 < high
    assert 0.93 < hits / 2000 < 0.97


def test_seeds_of_two_groups_leave_open_what_one_decides():
    rows = [
        counting("lstm", 1, 64, 1.42, True, False, False),
        counting("rnn", 1, 64, 1.42, False, False, False),
        counting("lstm", 1, 256, 1.22, True), counting("rnn", 1, 256, 1.18, False),
    ]  # fmt: skip
    others = [counting("gru", 1, size, 1.2, size % 2 == 0) for size in range(1, FEWEST)]
    findings = losses.beats_rnn("lstm")(evidence(*rows, *others, **LINES))
    assert part(findings, "size 64").verdict == UNDECIDED  # another three seeds may not learn it
    assert whole(findings).effect == pytest.approx(0.01, abs=1e-3)
    assert "from size 256 on" in whole(findings).basis
