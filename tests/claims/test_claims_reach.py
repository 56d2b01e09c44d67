"""Claims about characters that need long reach: verdicts on constructed arrays."""

import dataclasses

import numpy as np
import pytest
from constructed import LENGTH, S, evidence, lstms_and_ngram, part, whole

from charlens.claims import reach
from charlens.claims.evidence import Missing
from charlens.store.tables import CROSSES, FAILS, HOLDS, ONE_SEED, UNDECIDED


def test_gains_on_characters_of_long_reach():
    rng = np.random.default_rng(0)
    alphabet = np.frombuffer(b'\n "(ae', np.uint8)
    y = rng.integers(len(alphabet), size=(S, LENGTH)).astype(np.uint8)
    lstm, ngram = rng.uniform(0.3, 0.5, (2, S, LENGTH))
    lstm[y == 0] += 0.2  # newlines: a gain
    lstm[y == 2] -= 0.2  # quotes: a loss
    e = evidence(*lstms_and_ngram(lstm, ngram), characters=y, split={"alphabet": alphabet})
    findings = reach.gains_on_long_reach(e)
    assert part(findings, "newline").verdict == HOLDS
    assert part(findings, "newline").effect == pytest.approx(0.2 + 0.2 / 5, abs=0.02)
    assert part(findings, "quotes").verdict == FAILS
    assert part(findings, "space").verdict == UNDECIDED == part(findings, "brackets").verdict
    assert whole(findings).effect == pytest.approx(0, abs=0.02)


def test_a_gain_everywhere_is_no_gain_on_these():
    rng = np.random.default_rng(0)
    alphabet = np.frombuffer(b" ae", np.uint8)
    y = rng.integers(3, size=(S, LENGTH)).astype(np.uint8)
    ngram = rng.uniform(0.3, 0.5, (S, LENGTH))
    e = evidence(*lstms_and_ngram(ngram + 0.1, ngram), characters=y, split={"alphabet": alphabet})
    assert whole(reach.gains_on_long_reach(e)).effect == pytest.approx(0, abs=1e-6)
    assert [f.part for f in reach.gains_on_long_reach(e)] == ["", "space"]


def test_a_smaller_loss_than_elsewhere_is_no_gain():
    """-0.05 on spaces, -0.2 on letters: 0.15 more than elsewhere, and still a loss."""
    rng = np.random.default_rng(0)
    alphabet = np.frombuffer(b" ae", np.uint8)
    y = rng.integers(3, size=(S, LENGTH)).astype(np.uint8)
    ngram = rng.uniform(0.3, 0.5, (S, LENGTH))
    lstm = ngram - np.where(y == 0, 0.05, 0.2)
    e = evidence(*lstms_and_ngram(lstm, ngram), characters=y, split={"alphabet": alphabet})
    found = whole(reach.gains_on_long_reach(e))
    assert found.effect == pytest.approx(0.15, abs=1e-6)
    assert found.verdict == FAILS and ": -0.050 here, -0.200 elsewhere" in found.basis


def reached(gain, noise=0.02):
    """Evidence with a gain on newlines, quotes, brackets and spaces alone."""
    rng = np.random.default_rng(0)
    alphabet = np.frombuffer(b'\n "(aeiou', np.uint8)
    y = rng.integers(len(alphabet), size=(S, LENGTH)).astype(np.uint8)
    ngram = rng.uniform(0.3, 0.5, (S, LENGTH))
    gains = np.where(y < 4, gain + noise * rng.uniform(-1, 1, (S, 1)), 0.0)
    lstm = (ngram + gains).clip(0.01, 0.99)
    return evidence(*lstms_and_ngram(lstm, ngram), characters=y, split={"alphabet": alphabet})


@pytest.mark.parametrize(
    ("gain", "noise", "verdict", "reason"),
    [
        (0.2, 0.02, HOLDS, ""),
        (-0.2, 0.02, FAILS, ""),
        (0.0, 0.02, UNDECIDED, CROSSES),
        (0.05, 0.5, UNDECIDED, CROSSES),  # more noise than gain
    ],
)
def test_the_verdict_on_all_characters_of_long_reach(gain, noise, verdict, reason):
    findings = reach.gains_on_long_reach(reached(gain, noise=noise))
    assert whole(findings).verdict == verdict and whole(findings).reason == reason
    assert [found.part for found in findings] == ["", "brackets", "quotes", "newline", "space"]


def one_seed(e):
    """The same evidence with one seed of the LSTM."""
    alone = dataclasses.replace(e, scores=[e.scores[0], e.scores[2]], known={})
    alone.everything = [alone]
    return alone


def test_without_a_second_seed_no_gain_is_shown():
    e = reached(0.2)
    alone = whole(reach.gains_on_long_reach(one_seed(e)))
    assert (alone.verdict, alone.reason) == (UNDECIDED, ONE_SEED)


def far_braces(gain, noise=0.01):
    """Evidence with this gain on braces far from their opening ones; on near ones it is -0.8."""
    line = b"f() { " + b"x = 1; " * 4 + b"}{ }"  # one pair far apart, one near
    text = line.ljust(LENGTH, b" ") * S
    codes = np.frombuffer(text, np.uint8)
    alphabet = np.unique(codes)
    split = {"alphabet": alphabet, "test_at": np.arange(S) * LENGTH}
    y = np.searchsorted(alphabet, codes).reshape(S, LENGTH)
    far, near = len(line) - 4, len(line) - 1
    lstm, ngram = np.full((2, S, LENGTH), 0.5)
    ngram[:, far] = 0.4
    lstm[:, far] = 0.4 + gain + noise * np.random.default_rng(0).uniform(-1, 1, size=S)
    lstm[:, near], ngram[:, near] = 0.1, 0.9
    return evidence(
        *lstms_and_ngram(lstm, ngram), characters=y, split=split, text=text, kind="code"
    )


@pytest.mark.parametrize(
    ("gain", "noise", "verdict", "reason"),
    [
        (0.2, 0.01, HOLDS, ""),
        (-0.2, 0.01, FAILS, ""),
        (0.0, 0.01, UNDECIDED, CROSSES),
        (0.02, 0.35, UNDECIDED, CROSSES),
    ],
)
def test_far_braces(gain, noise, verdict, reason):
    e = far_braces(gain, noise)
    found = whole(reach.gains_on_far_braces(e))
    assert found.verdict == verdict and found.reason == reason
    assert found.effect == pytest.approx(gain, abs=0.01 + noise / 4)
    assert f"{S} braces" in found.basis
    assert reach.gains_on_far_braces(evidence(*e.scores)) == []  # prose


def test_far_braces_with_one_seed_or_none_of_them():
    e = far_braces(0.2)
    alone = whole(reach.gains_on_far_braces(one_seed(e)))
    assert (alone.verdict, alone.reason) == (UNDECIDED, ONE_SEED)
    near_only = far_braces(0.2)
    near_only.text = b" " * len(e.text)
    with pytest.raises(Missing, match="a closing brace more than 20 characters"):
        reach.gains_on_far_braces(near_only)


@pytest.mark.parametrize(
    ("near", "far", "verdict"),
    [(0.3, 0.1, HOLDS), (0.1, 0.3, FAILS), (0.2, 0.2, UNDECIDED)],
)
def test_the_gain_on_braces_decays(near, far, verdict):
    length = 200
    line = (b"{ " + b"x = 1; " * 4 + b"}" + b"{" + b"x = 1; " * 12 + b"}").ljust(length)
    codes = np.frombuffer(line * S, np.uint8)
    alphabet = np.unique(codes)
    split = {"alphabet": alphabet, "test_at": np.arange(S) * length}
    y = np.searchsorted(alphabet, codes).reshape(S, length)
    first, second = line.index(b"}"), line.rindex(b"}")
    lstm, ngram = np.full((2, S, length), 0.5)
    noise = 0.02 * np.random.default_rng(0).normal(size=(2, S))
    lstm[:, first] += near + noise[0]
    lstm[:, second] += far + noise[1]
    more = {"characters": y, "split": split, "text": line * S, "kind": "code"}
    findings = reach.brace_gain_decays(evidence(*lstms_and_ngram(lstm, ngram), **more))
    assert whole(findings).verdict == verdict
    assert whole(findings).effect == pytest.approx(near - far, abs=0.02)
    assert part(findings, "21 to 60").effect == pytest.approx(near, abs=0.02)
    assert part(findings, "61 to 120").effect == pytest.approx(far, abs=0.02)
    assert len(findings) == 3 and f"{S} braces up to 60" in whole(findings).basis
    assert reach.brace_gain_decays(evidence(*lstms_and_ngram(lstm, ngram))) == []  # prose
    near_only = more | {"text": b" " * len(line * S)}
    with pytest.raises(Missing, match="nearer and farther than 60"):
        reach.brace_gain_decays(evidence(*lstms_and_ngram(lstm, ngram), **near_only))
