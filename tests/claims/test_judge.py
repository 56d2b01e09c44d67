"""All claims together, and the verb `claims`."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from constructed import (
    LENGTH,
    S,
    evidence,
    lstms_and_ngram,
    named,
    network,
    ngram,
    nn,
    planned,
    published,
    seeds,
    whole,
)  # fmt: skip
from synthetic import TEXT, random_logp, run, write_corpus, write_score

from charlens.claims import judge, reach
from charlens.claims.catalog import CLAIMS, NEWER
from charlens.claims.evidence import Missing
from charlens.cli import main
from charlens.errors import InputError
from charlens.report import figure4, figure5, figure6
from charlens.store.corpora import read_split
from charlens.store.models import ModelKey
from charlens.store.scores import read_scores
from charlens.store.tables import (
    FAILS,
    HOLDS,
    MISSING,
    NOT_IN_RUN,
    PROBES,
    TRAJECTORY,
    UNDECIDED,
)


def test_what_is_missing_is_said():
    table = judge.judge([evidence()])
    assert list(table.columns) == judge.COLUMNS
    assert len(table) == len(CLAIMS) - 2  # braces are for code
    assert (table["verdict"] == UNDECIDED).all()
    assert table["basis"].str.startswith("missing: ").all() and table["effect"].isna().all()
    assert (table["reason"] == MISSING).all()


def test_what_the_run_was_not_to_have_is_not_undecided():
    own = planned(("lstm", 1, 64))
    own += [ModelKey("wp", "nn", seed=1, n=n) for n in (1, 2, 3, 4)]
    table = judge.judge([evidence(network("lstm", 1, 64, 1.4), planned=own)]).set_index("claim")
    assert (table["reason"] == NOT_IN_RUN).equals(table["verdict"] == NOT_IN_RUN)
    absent = table[table["verdict"] == NOT_IN_RUN]["basis"].str.removeprefix("not in this run: ")
    assert absent.to_dict() == {
        "depth helps": "layers: 1 alone",
        "3 layers against 2 is mixed": "no network of 2 layers",
        "LSTM beats RNN": "no RNN",
        "GRU beats RNN": "no RNN",
        "LSTM against GRU is mixed": "no GRU",
        "RNNs lie apart": "no GRU",
        "then a 4-NN and a 5-NN": "no 5-NN",
        "size removes n-gram errors": "size: 64 alone",
        "first GRU layer is one-sided": "no GRU",
        "first layer is diffuse": "layers: 1 alone",
    }
    assert table.loc["n-NN falls behind", "verdict"] == UNDECIDED


def test_the_papers_own_effects_stand_beside_ours():
    cells = [network(type, n, 64, 1.4) for type in ("lstm", "gru", "rnn") for n in (1, 2, 3)]
    e = evidence(*cells, ngram(1, 2.3), nn(1, 2.3), ngram(6, 1.2), nn(6, 1.3), ngram(20, 1.1))
    table = judge.judge([e]).set_index(["claim", "where"])["paper"]
    # by hand, from the paper's tables of War and Peace, row 64
    means = {"lstm": (1.449, 1.442, 1.540), "rnn": (1.446, 1.401, 1.396)}
    assert table["depth helps", "wp: LSTM"] == pytest.approx(1.449 - 1.442, abs=1e-6)
    assert table["LSTM beats RNN", "wp"] == pytest.approx(
        np.mean(means["rnn"]) - np.mean(means["lstm"]), abs=1e-6
    )
    assert table["best network beats the n-gram", "wp"] == pytest.approx(1.195 - 1.373)
    assert table["n-NN falls behind", "wp"] == pytest.approx(1.321 - 1.203)
    assert table["n-NN's loss rises", "wp"] == pytest.approx(1.321 - 2.399)
    assert np.isnan(table["long reach", "wp"])  # of characters the paper has no numbers
    e.about["corpus"] = "mine"
    for score in e.scores:
        score.meta["corpus"] = "mine"
    assert judge.judge([e])["paper"].isna().all()


def test_every_claim_says_how_it_is_tested():
    names = [claim.name for claim in CLAIMS + NEWER]
    assert len(set(names)) == len(names)
    for claim in CLAIMS + NEWER:
        assert len(claim.test.__doc__) > 40 and "{" not in claim.test.__doc__
    assert all(dataclasses.asdict(claim)["says"].endswith(".") for claim in CLAIMS + NEWER)


def arguments(tmp_path, *scores):
    return [
        *("--scores", *scores, "--splits", tmp_path / "code.npz"),
        *("--texts", tmp_path / "code.txt", "--corpora", tmp_path / "code.json"),
        *("--csv", tmp_path / "c.csv", "--html", tmp_path / "c.html", "--resamples", 1000),
    ]


def test_the_command(tmp_path):
    size = write_corpus(tmp_path, text=TEXT)
    scores = [
        write_score(tmp_path / f"{n}.npy", random_logp(size, n), seed=n, layers=1) for n in (1, 2)
    ]
    scores.append(write_score(tmp_path / "g.npy", random_logp(size, 9), family="ngram", n=2))
    run(judge, arguments(tmp_path, *scores))
    table = pd.read_csv(tmp_path / "c.csv")
    assert set(table["verdict"]) <= {HOLDS, FAILS, UNDECIDED}
    assert {c.split(":")[0] for c in table["where"]} == {"code"}
    far = table[table["claim"] == "far braces"].iloc[0]
    assert np.isfinite(far[["effect", "low", "high"]].astype(float)).all()
    page = (tmp_path / "c.html").read_text()
    assert "Does the paper hold?" in page and page.count("<section") == len(CLAIMS)
    assert "http" not in page and "made up" in page
    first = (tmp_path / "c.csv").read_bytes()
    run(judge, arguments(tmp_path, *scores))
    assert (tmp_path / "c.csv").read_bytes() == first


def test_the_candidates_of_n_nns_reach_their_claim(tmp_path):
    size = write_corpus(tmp_path, text=TEXT)
    score = write_score(tmp_path / "g.npy", random_logp(size, 9), family="ngram", n=2)
    paths = []
    for n in (1, 3):
        path = tmp_path / f"models/code/nn/context~{n}/seed~1/hidden~128/history.csv"
        path.parent.mkdir(parents=True)
        path.write_text("epoch,train_loss,val_loss\n1,2.0,2.1\n2,1.9,2.0\n")
        paths.append(path)
    for tried, verdict in (([128], FAILS), ([128, 256], UNDECIDED), ([], FAILS)):
        more = ["--histories", *paths, "--nn-hidden", *tried]
        run(judge, [*arguments(tmp_path, score), *more])
        table = pd.read_csv(tmp_path / "c.csv").set_index(["claim", "where"])
        assert table.loc[("n-NN overfits", "code"), "verdict"] == verdict
    words = ["claims", *map(str, [*arguments(tmp_path, score), *more[:3], "--nn-hidden", 128])]
    assert main(words) == 0  # whose bounds of options are of single numbers


def test_the_histories_of_a_corpus_reach_its_claims(tmp_path):
    size = write_corpus(tmp_path, text=TEXT)
    score = write_score(tmp_path / "a.npy", random_logp(size, 1), layers=1)
    paths = [tmp_path / f"{corpus}/nn/context~3/seed~1/hidden~8/history.csv"
             for corpus in ("code", "other")]  # fmt: skip
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_text("epoch,train_loss,val_loss\n1,2.0,2.1\n2,1.5,1.9\n3,1.0,2.0\n")
    run(judge, [*arguments(tmp_path, score), "--histories", *paths])
    table = pd.read_csv(tmp_path / "c.csv").set_index(["claim", "where"])
    found = table.loc["n-NN overfits", "code: n = 3"]
    assert found["effect"] == pytest.approx(0.4) and "8 of up to 8 hidden" in found["basis"]
    paths[0].write_text("epoch,val_loss\n1,2.1\n")
    with pytest.raises(InputError, match=r"history.csv: has no column train_loss"):
        run(judge, [*arguments(tmp_path, score), "--histories", paths[0]])


def newer(tmp_path) -> list:
    """Scores of an LSTM, a GRU, a minGRU and an n-gram model, one seed each."""
    size = write_corpus(tmp_path, text=TEXT)
    scores = [
        write_score(tmp_path / f"{type}.npy", random_logp(size, n), type=type, layers=1)
        for n, type in enumerate(("lstm", "gru", "mingru"))
    ]
    return [*scores, write_score(tmp_path / "g.npy", random_logp(size, 9), family="ngram", n=2)]


def test_the_tables_of_other_types_reach_their_claims(tmp_path):
    scores, made = newer(tmp_path), tmp_path / "types/mingru"
    for folder in ("tables", "figure5"):
        (made / folder).mkdir(parents=True)
    rows = [["code", "mingru 1x64", 1, f"h{n}", 1, 0.5, 0.9, 0.1, 0.1] for n in range(4)]
    pd.DataFrame(rows, columns=PROBES).to_csv(made / "tables/probes.csv", index=False)
    first_epochs = [[1, 64, k + 1, k, n, abs(k - n), 0] for k in range(5) for n in (1, 2, 3)]
    pd.DataFrame(first_epochs, columns=TRAJECTORY).to_csv(made / "figure5/code.csv", index=False)
    files = [made / "tables/probes.csv", made / "figure5/code.csv"]
    run(judge, [*arguments(tmp_path, *scores), "--of-types", *files])
    table = pd.read_csv(tmp_path / "c.csv").set_index(["claim", "where"])
    for claim in ("newer types spread what they know", "newer types first resemble a 1-NN"):
        assert table.loc[claim, "code"]["verdict"] == HOLDS
        assert "minGRU 1x64" in table.loc[claim, "code: minGRU"]["basis"]
    page = (tmp_path / "c.html").read_text()
    assert page.count("<section") == len(CLAIMS) + len(NEWER) - 1  # lines are counted in prose
    with pytest.raises(InputError, match="expected types/<type>/tables/<table>.csv"):
        run(judge, [*arguments(tmp_path, *scores), "--of-types", tmp_path / "probes.csv"])


def test_seeds_of_a_publication_stand_in(tmp_path):
    scores = newer(tmp_path)
    run(judge, arguments(tmp_path, *scores))
    before = pd.read_csv(tmp_path / "c.csv").set_index(["claim", "where"])
    claim = "newer beats LSTM and GRU"
    assert "no network was measured with two seeds" in before.loc[claim, "code"]["basis"]
    split = read_split(tmp_path / "code.npz", [])
    for seed in (1, 2, 3):
        score = read_scores([scores[0]], "recurrent")[0]
        logp = random_logp(score.logp.size, seed, 1.0 + 0.1 * seed)
        own = dataclasses.replace(score, logp=logp, meta=score.meta | {"seed": seed})
        path = tmp_path / f"published/scores/code/type~lstm/layers~1/size~64/seed~{seed}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(own.meta | {"digest": own.digest(split)}))
    more = ["--seeds-from", tmp_path / "published"]
    run(judge, [*arguments(tmp_path, *scores), *more])
    after = pd.read_csv(tmp_path / "c.csv").set_index(["claim", "where"])
    assert "published" in after.loc[claim, "code"]["basis"]
    assert "(2 degrees of freedom)" in after.loc[claim, "code"]["basis"]
    width = [t.loc[claim, "code"]["high"] - t.loc[claim, "code"]["low"] for t in (before, after)]
    assert width[1] > 2 * width[0]
    with pytest.raises(InputError, match="no published networks of code"):
        run(judge, [*arguments(tmp_path, *scores), "--seeds-from", tmp_path / "nowhere"])
    path.write_text(json.dumps(own.meta | {"digest": own.digest(split), "source": "Moby Dick"}))
    with pytest.raises(InputError, match="code is of Moby Dick there"):
        run(judge, [*arguments(tmp_path, *scores), *more])


def test_digests_give_the_same_verdicts_on_losses():
    scores = [*seeds("lstm", 1, 64, 1.4), *seeds("lstm", 2, 64, 1.38), ngram(20, 1.5)]
    here, elsewhere = (judge.judge([evidence(*some)]) for some in (scores, map(published, scores)))
    assert list(here["verdict"]) == list(elsewhere["verdict"])
    decided = here["effect"].notna()
    assert set(here[decided]["claim"]) == {
        "depth helps", "best network beats the n-gram", "deviations are small",
    }  # fmt: skip
    numbers = ["effect", "low", "high"]
    assert elsewhere[decided][numbers].to_numpy() == pytest.approx(
        here[decided][numbers].to_numpy(), abs=1e-4, nan_ok=True
    )
    # one names one of several with equal deviations, the other what it lacks
    same = ~here["claim"].isin(["deviations are small", "long reach"])
    assert (here["basis"] == elsewhere["basis"])[same].all()


def test_characters_need_arrays():
    rng = np.random.default_rng(0)
    alphabet = np.frombuffer(b" ae", np.uint8)
    y = rng.integers(3, size=(S, LENGTH)).astype(np.uint8)
    probability = rng.uniform(0.3, 0.5, (S, LENGTH))
    scores = lstms_and_ngram(probability + 0.2 * (y == 0), probability)
    split = {"alphabet": alphabet, "test_y": y}
    digests = [published(scores[0], split), *scores[1:]]
    more = {"characters": y, "split": {"alphabet": alphabet}}
    with pytest.raises(Missing, match="character by character"):
        reach.gains_on_long_reach(evidence(*digests, **more))
    # published sums stand in, where the text is not known either
    here = evidence(*(named(score) for score in scores), **more)
    expected = reach.gains_on_long_reach(here)
    known = [published(score, split) for score in here.scores]
    unread = more | {"characters": np.zeros_like(y), "sums": here.sums}
    found = reach.gains_on_long_reach(evidence(*known, **unread))
    assert [(f.part, f.verdict) for f in found] == [(f.part, f.verdict) for f in expected]
    assert [f.effect for f in found] == pytest.approx([f.effect for f in expected])
    # what a seed changes is known from digests, too
    seeds = [scores[0], published(scores[1], split), scores[2]]
    basis = [whole(reach.gains_on_long_reach(evidence(*s, **more))).basis for s in (scores, seeds)]
    assert basis[0] == basis[1] and "seed SD" in basis[0]


def test_bad_input(tmp_path):
    size = write_corpus(tmp_path)
    score = write_score(tmp_path / "a.npy", random_logp(size - 1, 1))
    with pytest.raises(InputError, match="score the model on this split"):
        run(judge, arguments(tmp_path, score))
    with pytest.raises(InputError, match="gates.csv: no readable table"):
        run(judge, [*arguments(tmp_path), "--inside", tmp_path / "gates.csv"])


def test_claims_and_figures_are_about_the_same_networks(tmp_path):
    # the best LSTM of all, of three layers, and of each size are three different ones
    size = write_corpus(tmp_path, text=TEXT)
    grid = {(1, 64): 1.3, (2, 32): 1.1, (2, 128): 0.9, (3, 64): 1.2, (3, 128): 1.0}
    scores = [
        write_score(tmp_path / f"{layers}{s}{seed}.npy", random_logp(size, layers + s + seed, loss),
                    layers=layers, size=s, seed=seed, val_loss=loss + 0.01 * seed)
        for (layers, s), loss in grid.items() for seed in (1, 2)
    ]  # fmt: skip
    scores.append(write_score(tmp_path / "n.npy", random_logp(size, 9), family="ngram", n=2))
    files = ["--scores", *scores, "--splits", tmp_path / "code.npz"]
    files += ["--corpora", tmp_path / "code.json"]
    first_epochs = [[3, 128, k, k, n, abs(k - n), 0] for k in (1, 2, 3) for n in (1, 2, 3)]
    pd.DataFrame(first_epochs, columns=TRAJECTORY).to_csv(tmp_path / "code.csv", index=False)
    more = ["--texts", tmp_path / "code.txt", "--trajectory", tmp_path / "code.csv"]
    out = ["--out", tmp_path / "f.svg", "--csv", tmp_path / "f.csv"]
    for figure, inputs in ((figure4, files), (figure5, files + more)):
        run(figure, inputs + out)
        shown = pd.read_csv(tmp_path / "f.csv")[["layers", "size"]].drop_duplicates()
        assert shown.to_numpy().tolist() == [[3, 128]]
        svg = (tmp_path / "f.svg").read_text()
        assert "LSTM 3x128" in svg and "2x128" not in svg
    assert [s.key.label for s in figure6.of_type(read_scores(scores, "recurrent"))] == [
        "LSTM 2x32", "LSTM 2x128",
    ]  # fmt: skip
    errors = pd.DataFrame(
        [["code", 2, 32, "n-gram", 9], ["code", 2, 128, "n-gram", 5]],
        columns=["corpus", "layers", "size", "category", "errors"],
    )
    errors.to_csv(tmp_path / "figure6.csv", index=False)

    more += ["--inside", tmp_path / "figure6.csv", "--resamples", 1000]
    run(judge, [*files, *more, "--csv", tmp_path / "c.csv", "--html", tmp_path / "c.html"])
    basis = pd.read_csv(tmp_path / "c.csv").set_index("where").groupby("claim")["basis"]
    of = {claim: list(words) for claim, words in basis}
    for claim in ("long reach", "far braces", "first a 1-NN, then more"):
        assert all("LSTM 3x128" in words for words in of[claim]), claim
        assert not any("2x128" in words for words in of[claim]), claim
    assert of["size removes n-gram errors"][0].startswith("LSTM 2x32 to LSTM 2x128")
    assert of["best network beats the n-gram"][0].startswith("LSTM 2x128")


def test_every_basis_names_its_models():
    entries = [network(type, n, 64, 1.4) for type in ("lstm", "gru", "rnn") for n in (1, 2, 3)]
    e = evidence(*entries, ngram(1, 2.3), nn(1, 2.3), ngram(6, 1.2), nn(6, 1.3), ngram(20, 1.1))
    table = judge.judge([e])
    found = table[~table["basis"].str.startswith("missing")]
    assert len(found) > 10
    assert found["basis"].str.contains(r"LSTM \dx64|GRU \dx64|\dx64|\d-NN").all()
