"""Claims about what newer types learn, and their errors: verdicts on constructed arrays."""

import numpy as np
import pytest
from constructed import S, evidence, named, part, planned, probable, published, whole

from charlens.claims import types_skills
from charlens.claims.evidence import Missing, NotInRun
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED
from charlens.claims.published import read_sums, write_sums
from charlens.statistics import oracles
from charlens.store.tables import MISSING, UNFINISHED
from charlens.text import symbols

N = 20  # characters that the n-gram sees
PROSE = (b'"' + b"aaa " * 8 + b'" bb\r\n').ljust(48) + b"b "
CODE = (b"f(a) + g(h(c)); { " + b"x = 1; " * 4 + b"}").ljust(50)


def text_of(line, kind):
    """The evidence of a text of S lines, one a stream; the first two are training text."""
    codes = symbols.numbers(line * S)
    alphabet = np.unique(codes)
    y = np.searchsorted(alphabet, codes).astype(np.uint8).reshape(S, len(line))
    split = {"alphabet": alphabet, "test_at": np.arange(S) * len(line), "train_y": y[:2]}
    return {"characters": y, "split": split, "text": line * S, "kind": kind}


def ngram(line, n=N):
    return probable(f"ngram{n}", np.full((S, len(line)), 0.4), family="ngram", n=n)


def network(type, line, at=(), more=0.0, size=64, seed=1, layers=1):
    """A network that gives some characters of each line more probability than the n-gram."""
    about = {"family": "recurrent", "type": type, "layers": layers, "size": size, "seed": seed}
    noise = np.random.default_rng(len(type) + size + seed).normal(scale=0.002, size=(S, 1))
    probability = np.full((S, len(line)), 0.4) + noise
    probability[:, list(at)] += more
    return probable(f"{type}{layers}x{size}-{seed}", probability, **about, val_loss=2.0 - more)


def learners(line, at, more, size=64):
    """minGRU that learns by so much, from two seeds, and an LSTM that learns."""
    own = [network("mingru", line, at, more, size, seed) for seed in (1, 2)]
    return [*own, network("lstm", line, at, 0.3, size)]


@pytest.mark.parametrize(("more", "verdict"), [(0.3, HOLDS), (0.02, FAILS), (0.1, UNDECIDED)])
def test_a_line_is_counted(more, verdict):
    at = [PROSE.index(b"\r")]
    e = evidence(*learners(PROSE, at, more), ngram(PROSE), **text_of(PROSE, "prose"))
    findings = types_skills.lines_are_counted(e)
    assert whole(findings).verdict == verdict == part(findings, "minGRU").verdict
    assert whole(findings).effect == pytest.approx(more, abs=0.01)
    assert part(findings, "LSTM").basis.startswith("from size 64 on; above the 20-gram: LSTM 1x64")
    if verdict != HOLDS:
        assert f"{verdict}: minGRU" in whole(findings).basis
    assert types_skills.lines_are_counted(evidence(**text_of(CODE, "code"))) == []


def test_texts_of_characters_are_read_like_texts_of_bytes():
    prose, code = "“" + PROSE[1:].decode().replace('"', "”").replace("b", "я"), CODE.decode()
    code = code.replace("x", "ж")
    for claim, line, kind, at in (
        (types_skills.lines_are_counted, prose, "prose", [prose.index("\r")]),
        (types_skills.far_quotes_are_closed, prose, "prose", [prose.index("”")]),
        (types_skills.far_braces_are_closed, code, "code", [len(code.rstrip()) - 1]),
    ):
        e = evidence(*learners(line, at, 0.3), ngram(line), **text_of(line, kind))
        assert whole(claim(e)).verdict == HOLDS
    assert len(e.nested[0]) == S * CODE.count(b")")


@pytest.mark.parametrize(("more", "verdict"), [(0.3, HOLDS), (-0.1, FAILS), (0.0, UNDECIDED)])
def test_a_far_quote_is_closed(more, verdict):
    at = [PROSE.rindex(b'"')]
    e = evidence(*learners(PROSE, at, more), ngram(PROSE), **text_of(PROSE, "prose"))
    findings = types_skills.far_quotes_are_closed(e)
    assert whole(findings).verdict == verdict == part(findings, "minGRU").verdict
    assert whole(findings).effect == pytest.approx(more, abs=0.01)
    near = evidence(*learners(PROSE, at, more), ngram(PROSE, 40), **text_of(PROSE, "prose"))
    with pytest.raises(Missing, match="closing quotes more than 40 characters"):
        types_skills.far_quotes_are_closed(near)
    with pytest.raises(Missing, match="the text"):
        types_skills.far_quotes_are_closed(evidence(*learners(PROSE, at, more), ngram(PROSE)))


@pytest.mark.parametrize(("more", "verdict"), [(0.3, HOLDS), (-0.1, FAILS), (0.0, UNDECIDED)])
def test_a_far_brace_is_closed(more, verdict):
    at = [CODE.index(b"}")]
    e = evidence(*learners(CODE, at, more), ngram(CODE), **text_of(CODE, "code"))
    assert whole(types_skills.far_braces_are_closed(e)).verdict == verdict
    assert types_skills.far_braces_are_closed(evidence(**text_of(PROSE, "prose"))) == []


def test_from_which_size_on_and_what_is_still_to_be_trained():
    at = [PROSE.index(b"\r")]
    scores = [*learners(PROSE, at, 0.02), *learners(PROSE, at, 0.3, size=128), ngram(PROSE)]
    deeper = network("mingru", PROSE, at, 0.01, size=128, layers=2)  # not the best on validation
    e = evidence(*scores, deeper, **text_of(PROSE, "prose"))
    findings = types_skills.lines_are_counted(e)
    own = part(findings, "minGRU")
    assert own.verdict == HOLDS == whole(findings).verdict
    assert own.basis.startswith("from size 128 on; above the 20-gram: minGRU 1x64 +0.0")
    assert "minGRU 2x128 +0.01" in own.basis
    e.planned = planned(("mingru", 1, 64), ("rglru", 1, 64))
    assert whole(types_skills.lines_are_counted(e)).verdict == UNDECIDED
    with pytest.raises(Missing, match="a network of a newer type"):
        paper = evidence(network("lstm", PROSE), ngram(PROSE), **text_of(PROSE, "prose"))
        types_skills.lines_are_counted(paper)


def test_nothing_fails_to_be_learned_by_a_type_of_which_networks_are_missing():
    at = [PROSE.index(b"\r")]
    e = evidence(*learners(PROSE, at, 0.02), ngram(PROSE), **text_of(PROSE, "prose"))
    e.planned = planned(("mingru", 1, 64), ("mingru", 2, 64), ("lstm", 1, 64))
    findings = types_skills.lines_are_counted(e)
    for found in (whole(findings), part(findings, "minGRU")):
        assert (found.verdict, found.reason) == (UNDECIDED, UNFINISHED)
    e.planned = planned(("mingru", 1, 64), ("rglru", 1, 64), ("lstm", 1, 64))
    assert whole(types_skills.lines_are_counted(e)).verdict == FAILS  # whatever the others do


def elsewhere(scores, line, kind, sums):
    """The evidence on a machine that has digests and published sums, but no text."""
    about = text_of(line, kind)
    split = about["split"] | {"test_y": about["characters"]}  # whose characters are not known there
    return evidence(
        *(published(score, split) for score in scores), sums=sums, kind=kind,
        characters=np.zeros_like(about["characters"]),
        split=about["split"] | {"train_y": np.zeros((S, 0), np.uint8)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("claim", "line", "kind"),
    [
        (types_skills.lines_are_counted, PROSE, "prose"),
        (types_skills.far_quotes_are_closed, PROSE, "prose"),
        (types_skills.far_braces_are_closed, CODE, "code"),
        (types_skills.windows_lose_nesting, CODE, "code"),
        (types_skills.newer_remove_errors, CODE, "code"),
    ],
)
def test_what_is_published_gives_the_same_verdicts(claim, line, kind, tmp_path):
    """Sums over each stream stand in for scores and text, through the file and to the last part."""
    scores = [*learners(line, [3, 12], 0.2), *learners(line, [3, 12], 0.3, size=128)]
    scores = [named(score) for score in (*scores, ngram(line))]
    here = evidence(*scores, **text_of(line, kind))
    expected = claim(here)
    written, few = tmp_path / "claim_sums.csv", tmp_path / "few.csv"
    write_sums(here.sums, here.scores, written)
    found = claim(elsewhere(scores, line, kind, read_sums([written])))
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.part, ours.verdict) == (theirs.part, theirs.verdict)
        assert ours.basis.split("; seed SD")[0] == theirs.basis.split("; seed SD")[0]
        numbers = ([f.effect, f.low, f.high] for f in (ours, theirs))
        assert np.allclose(*numbers, rtol=1e-5, equal_nan=True)
    # a network of which neither is here is named, and the others are judged
    write_sums(here.sums, [s for s in scores if s.meta.get("size") != 64], few)
    rest = claim(elsewhere(scores, line, kind, read_sums([few])))
    assert [f.part for f in rest] == [f.part for f in expected]
    assert any("not looked at: " in f.basis and "64" in f.basis for f in rest)
    with pytest.raises(Missing, match="character by character"):
        claim(elsewhere(scores, line, kind, {}))


def test_a_type_whose_largest_network_cannot_be_looked_at_is_undecided():
    at = [PROSE.index(b"\r")]
    scores = [named(s) for s in (*learners(PROSE, at, 0.3), ngram(PROSE))]
    here = evidence(*scores, **text_of(PROSE, "prose"))
    types_skills.lines_are_counted(here)
    other = [named(network("slstm", PROSE, at, 0.3, size)) for size in (64, 128)]
    found = types_skills.lines_are_counted(elsewhere([*scores, *other], PROSE, "prose", here.sums))
    assert part(found, "minGRU").verdict == HOLDS
    lost = part(found, "sLSTM")
    assert (lost.verdict, lost.reason) == (UNDECIDED, MISSING) and "sLSTM 1x128" in lost.basis
    assert (whole(found).verdict, whole(found).reason) == (UNDECIDED, MISSING)
    assert "undecided: sLSTM" in whole(found).basis


OUTER, NESTED = [3, 13], [12]  # ")" of CODE


@pytest.mark.parametrize(
    ("nested", "others", "verdict"),
    [(0.1, 0.3, HOLDS), (0.3, 0.1, FAILS), (0.2, 0.2, UNDECIDED)],
)
def test_nesting(nested, others, verdict):
    assert [CODE[at : at + 1] for at in (*OUTER, *NESTED)] == [b")"] * 3
    scores = [network("lstm", CODE, OUTER + NESTED, 0.3, seed=seed) for seed in (1, 2)]
    for type, own in (("mingru", nested), ("slstm", 0.3)):
        score = network(type, CODE, OUTER, others if type == "mingru" else 0.3)
        probability = np.exp(score.logp).reshape(S, -1)
        probability[:, NESTED] += own
        scores.append(probable(type, probability, **score.meta))
    e = evidence(*scores, **text_of(CODE, "code"))
    findings = types_skills.windows_lose_nesting(e)
    assert whole(findings).verdict == verdict == part(findings, "minGRU").verdict
    assert whole(findings).effect == pytest.approx(others - nested, abs=0.01)
    assert f"{S} nested closing brackets, {2 * S} others" in whole(findings).basis
    assert part(findings, "step by step").verdict == UNDECIDED
    assert types_skills.windows_lose_nesting(evidence(**text_of(PROSE, "prose"))) == []


def test_nesting_needs_the_lstm_and_a_type_that_reads_windows():
    code = text_of(CODE, "code")
    slstm = [network(type, CODE) for type in ("lstm", "slstm")]
    with pytest.raises(NotInRun, match="no newer type that reads a window at once"):
        types_skills.windows_lose_nesting(evidence(*slstm, **code))
    with pytest.raises(Missing, match="LSTM and a newer type that reads a window at once"):
        types_skills.windows_lose_nesting(evidence(network("mingru", CODE), slstm[1], **code))
    with pytest.raises(NotInRun, match="no LSTM"):
        own = planned(("mingru", 1, 64), ("slstm", 1, 64))
        types_skills.windows_lose_nesting(evidence(planned=own, **code))
    with pytest.raises(Missing, match="closing brackets that are nested"):
        flat = text_of(b"f(a);".ljust(50), "code")
        pair = [network(type, CODE) for type in ("lstm", "mingru")]
        types_skills.windows_lose_nesting(evidence(*pair, **flat))


@pytest.mark.parametrize(
    ("lstm", "mingru", "verdict"), [(0.0, 0.3, HOLDS), (0.3, 0.0, FAILS), (0.0, 0.0, UNDECIDED)]
)
def test_errors_that_newer_types_remove(lstm, mingru, verdict):
    # one character each that is after punctuation, after a space, a repeated word: all errors
    at = range(len(PROSE))
    scores = [network("lstm", PROSE, at, lstm, seed=seed) for seed in (1, 2)]
    scores += [network("mingru", PROSE, at, mingru), ngram(PROSE, 1)]
    e = evidence(*scores, **text_of(PROSE, "prose"))
    findings = types_skills.newer_remove_errors(e)
    found = {f.part: f.effect for f in findings if f.part}
    total = (lstm == 0) - (mingru == 0)
    assert sum(found.values()) == pytest.approx(total, abs=1e-6)  # each error has one category
    if verdict != FAILS:  # some categories have no errors at all
        assert whole(findings).verdict == verdict
    else:
        assert {f.verdict for f in findings} == {FAILS, UNDECIDED}
    assert list(found) == [f"minGRU: {category}" for category in oracles.CATEGORIES]


def test_the_interval_shown_is_the_corrected_one_by_which_the_verdict_was_found():
    """Streams that differ: the type's own interval lies above 0, the corrected one does not."""
    scores = [network("lstm", PROSE, seed=seed) for seed in (1, 2)] + [network("mingru", PROSE)]
    e = evidence(*scores, **text_of(PROSE, "prose"))
    more = np.random.default_rng(1).normal(0.5, 1.0, S)
    for score in scores:
        lstm = score.key.type == "lstm"
        e.known["errors", score.path] = {
            name: 5.0 + more * (lstm and at == 0) for at, name in enumerate(oracles.CATEGORIES)
        }
    shown, first, *_ = types_skills.newer_remove_errors(e)
    assert shown.basis.startswith(f"{first.part}: ") and shown.effect == first.effect
    assert shown.low < first.low and shown.high > first.high
    assert (shown.verdict == HOLDS) == (shown.low > 0)


def test_all_categories_may_be_worse():
    """The claim fails where every interval is negative."""
    counts = {category: np.full(S, 5.0) for category in oracles.CATEGORIES}
    scores = [network("lstm", PROSE, seed=seed) for seed in (1, 2)] + [network("mingru", PROSE)]
    e = evidence(*scores, **text_of(PROSE, "prose"))
    for score in scores:
        own = 2 if score.key.type == "mingru" else 1
        e.known["errors", score.path] = {name: own * n for name, n in counts.items()}
    found = whole(types_skills.newer_remove_errors(e))
    assert found.verdict == FAILS and found.effect == pytest.approx(-0.1)
    e.planned = planned(("mamba", 1, 64), ("lstm", 1, 64))
    assert whole(types_skills.newer_remove_errors(e)).verdict == UNDECIDED


def test_errors_need_the_text_and_the_ngrams():
    scores = [network(type, PROSE) for type in ("lstm", "mingru")]
    prose = text_of(PROSE, "prose")
    with pytest.raises(Missing, match="scores of an n-gram model"):
        types_skills.newer_remove_errors(evidence(*scores, **prose))
    with pytest.raises(Missing, match="training streams"):
        types_skills.newer_remove_errors(evidence(*scores, **(prose | {"text": None})))
    with pytest.raises(Missing, match="LSTM and a newer type"):
        types_skills.newer_remove_errors(evidence(scores[1], **prose))
    with pytest.raises(NotInRun, match="no LSTM"):
        types_skills.newer_remove_errors(evidence(scores[1], planned=planned(("mingru", 1, 64))))
