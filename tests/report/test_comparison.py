"""Our tables beside the paper's, and the same models under two splits."""

import numpy as np
import pandas as pd
import pytest
from synthetic import random_logp, run, write_corpus, write_score

from charlens.claims import contiguous_split
from charlens.errors import InputError
from charlens.report import comparison

TABLE1 = ["corpus", "type", "layers", "size", "seed", "loss", "paper"]
TABLE2 = ["corpus", "model", "n", "loss", "paper"]


@pytest.fixture
def tables():
    first = [
        ["wp", "lstm", 1, 64, 1, 1.46, 1.449],
        ["wp", "lstm", 1, 64, 2, 1.48, 1.449],  # two seeds: 1.47, off by 0.021
        ["wp", "lstm", 3, 64, 1, 1.50, 1.540],
        ["wp", "gru", 1, 64, 1, 1.398, 1.398],
        ["wp", "qrnn", 1, 64, 1, 1.3, np.nan],
        ["mine", "lstm", 1, 64, 1, 1.3, np.nan],
    ]
    second = [["wp", "n-gram", 1, 2.399, 2.399], ["wp", "n-NN", 1, 2.45, 2.399]]
    return pd.DataFrame(first, columns=TABLE1), pd.DataFrame(second, columns=TABLE2)


def test_every_entry_that_the_paper_has(tables):
    entries = comparison.compare(*tables)
    assert list(entries.columns) == comparison.COLUMNS
    assert entries[["model", "seeds"]].to_numpy().tolist() == (
        [["lstm", 2], ["lstm", 1], ["gru", 1], ["n-gram", 1], ["n-NN", 1]]
    )
    assert entries["difference"].to_numpy() == pytest.approx([0.021, -0.04, 0, 0, 0.051])


def test_summary(tables):
    summary = comparison.summarise(comparison.compare(*tables), ["wp"]).set_index("models")
    recurrent = summary.loc["recurrent"]
    assert (recurrent["cells"], recurrent["far"]) == (3, 1)
    assert recurrent["mean_abs"] == pytest.approx(0.061 / 3)
    assert recurrent["median_abs"] == pytest.approx(0.021)
    assert recurrent["rank_correlation"] == pytest.approx(1)  # 1.40, 1.47, 1.50 as theirs
    assert summary.loc["all", "cells"] == 5 and summary.loc["all", "far"] == 2
    assert np.isnan(summary.loc["n-gram", "rank_correlation"])  # of one entry there is none


def test_colours_say_the_sign_and_the_size():
    assert comparison.colour(0) == "#ffffff"
    assert comparison.colour(0.1) == comparison.colour(5) != comparison.colour(-0.1)
    assert comparison.colour(0.05) not in (comparison.colour(0), comparison.colour(0.1))


def compare_arguments(folder, tables, *corpora):
    for number, table in enumerate(tables, start=1):
        table.to_csv(folder / f"table{number}.csv", index=False)
    return [
        *("--table1", folder / "table1.csv", "--table2", folder / "table2.csv"),
        *("--corpora", *(folder / f"{name}.json" for name in corpora)),
        *("--csv", folder / "c.csv", "--summary-csv", folder / "s.csv"),
        *(
            "--text-csv",
            folder / "t.csv",
            "--html",
            folder / "c.html",
            "--out",
            folder / "c.png",
            folder / "c.svg",
        ),
    ]


def test_compare(tmp_path, tables):
    write_corpus(tmp_path, "wp", source="<b>another</b>")
    write_corpus(tmp_path, "mine")
    run(comparison, compare_arguments(tmp_path, tables, "wp", "mine"))
    assert len(pd.read_csv(tmp_path / "c.csv")) == 5
    page = (tmp_path / "c.html").read_text()
    assert "LSTM 3x64 (−0.040)" in page and "1-NN (+0.051)" in page
    assert "&lt;b&gt;another" in page and "not the paper’s text" in page
    assert "Mine" not in page  # of which the paper knows nothing
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="no numbers for any"):
        run(comparison, compare_arguments(tmp_path, tables, "mine"))
    arguments = compare_arguments(tmp_path, tables, "wp")
    (tmp_path / "table1.csv").unlink()
    with pytest.raises(InputError, match="table1.csv: no readable table"):
        run(comparison, arguments)


def test_the_papers_text_beside_our_figures(tmp_path, tables):
    figure6 = pd.DataFrame(
        [["wp", 2, 64, "n-gram", 0.5], ["wp", 2, 64, "memory", 0.5],
         ["wp", 2, 512, "n-gram", 0.12], ["wp", 2, 512, "n-gram", 0.08],
         ["wp", 2, 512, "boost", 0.8]],
        columns=["corpus", "layers", "size", "category", "share"],
    )  # fmt: skip
    figure5 = pd.DataFrame(
        [["lk", 3, 256, 1, 50, 20.0, 90, 0.5, 0.4], ["lk", 3, 256, 50, 100, 70.0, 90, 0.6, 0.4],
         ["lk", 3, 256, 100, 200, 150.0, 90, 0.55, 0.4],  # as large as the last within errors
         ["lk", 3, 256, 200, 300, 250.0, 2, 0.9, 0.1]],  # two pairs are no mean
        columns=["corpus", "layers", "size", "from", "below", "distance", "pairs", "lstm", "ngram"],
    ).assign(gain_se=0.03)  # fmt: skip
    found = comparison.compare_text(figure5, figure6).set_index("corpus")
    assert list(found.reset_index().columns) == comparison.TEXT
    assert found.loc["wp", ["paper", "ours"]].tolist() == pytest.approx([0.18, 0.2])
    assert found.loc["lk", ["paper", "ours"]].tolist() == [60, 70]
    assert (
        found.loc["wp", "basis"] == "LSTM 2x512, figure 6"
        and "50 to 100" in found.loc["lk", "basis"]
    )
    assert found.loc["lk", "basis"].endswith("from 50 to 200 it is as large within errors")
    assert found["where"].tolist() == ["section 4.4", "section 4.3"]
    assert found["source"].str.contains("quoted").all()
    assert comparison.compare_text(pd.DataFrame(), pd.DataFrame())["ours"].isna().all()
    write_corpus(tmp_path, "wp")
    figure6.to_csv(tmp_path / "f6.csv", index=False)
    run(comparison, [*compare_arguments(tmp_path, tables, "wp"), "--figure6", tmp_path / "f6.csv"])
    page = (tmp_path / "c.html").read_text()
    assert "Numbers of the paper’s text" in page and "LSTM 2x512, figure 6" in page
    assert len(pd.read_csv(tmp_path / "t.csv")) == 1  # of the corpora of this run


def braces(gains, errors=None, pairs=90):
    """Figure 5's buckets of 20 characters with these gains, and their standard errors."""
    start = 20 * np.arange(len(gains))
    rows = {"corpus": "lk", "layers": 3, "size": 256, "from": start, "below": start + 20}
    rows |= {
        "distance": start + 10.0,
        "pairs": pairs,
        "ngram": 0.4,
        "lstm_se": 0.1,
        "ngram_se": 0.1,
    }
    errors = {} if errors is None else {"gain": gains, "gain_se": errors}
    return pd.DataFrame(rows | {"lstm": 0.4 + np.array(gains)} | errors)


@pytest.mark.parametrize(
    ("gains", "reach"),
    [
        ([0.1, 0.3, 0.29, 0.1, 0.28, 0.27], "20 to 60"),  # alike once more beyond a break
        ([0.1, 0.28, 0.1, 0.29, 0.3, 0.1], "60 to 100"),  # and before one
        ([0.3, 0.1, 0.29, 0.1], "0 to 20"),  # nothing beside the peak is alike
        ([0.3, 0.29, 0.28], "0 to 60"),
    ],
)
def test_the_reach_of_the_largest_gain_is_unbroken(gains, reach):
    _, basis = comparison.peak_of_gain(braces(gains, 0.02), "lk")
    assert basis.endswith(f"from {reach} it is as large within errors")


def test_a_gain_is_compared_by_its_own_error():
    """Not by those of the two models, which read the same braces."""
    gains = [0.3, 0.2, 0.1]
    assert "from 0 to 20 it" in comparison.peak_of_gain(braces(gains, 0.01), "lk")[1]
    assert "from 0 to 40 it" in comparison.peak_of_gain(braces(gains, 0.04), "lk")[1]


def test_without_the_errors_of_the_gain_its_reach_is_unknown():
    """As in a publication by an older version."""
    distance, basis = comparison.peak_of_gain(braces([0.1, 0.3, 0.29]), "lk")
    assert distance == 30 and basis == "LSTM 3x256, figure 5: 20 to 40 characters, 90 pairs"
    older = pd.concat([braces([0.1, 0.3]).assign(corpus="wp"), braces([0.2, 0.3], 0.01)])
    assert "within errors" not in comparison.peak_of_gain(older, "wp")[1]


# ---- the contiguous split ----


def split_scores(folder, size):
    """Two corpora, x and its twin: the network is 0.2 better than the 9-gram under the paper's
    split, and 0.05 under the contiguous one."""
    scores = []
    for name, network, ngram in (("x", 1.0, 1.2), ("x.contiguous", 1.3, 1.35)):
        noise = 0.01 * random_logp(size, 3)  # the same for the models of a side
        for path, loss, meta in (
            ("n1", ngram + 1, {"family": "ngram", "n": 1}),
            ("n9", ngram, {"family": "ngram", "n": 9}),
            ("l", network, {"layers": 1, "size": 64}),
        ):
            logp = noise - noise.mean() - loss
            scores.append(write_score(folder / f"{name}-{path}.npy", logp, corpus=name, **meta))
    return scores


def split_arguments(folder, scores):
    return [
        *("--scores", *scores, "--splits", folder / "x.npz", folder / "x.contiguous.npz"),
        *("--corpora", folder / "x.json", "--resamples", 1000),
        *("--csv", folder / "l.csv", "--html", folder / "l.html"),
    ]


def test_contiguous_split(tmp_path):
    size = write_corpus(tmp_path, "x")
    write_corpus(tmp_path, "x.contiguous")
    scores = split_scores(tmp_path, size)
    run(contiguous_split, split_arguments(tmp_path, scores))
    table = pd.read_csv(tmp_path / "l.csv").set_index("model")
    assert list(table.index) == ["1-gram", "9-gram", "LSTM 1x64"]
    lstm = table.loc["LSTM 1x64"]
    assert lstm[["paper_split", "plain_cut", "change"]].tolist() == pytest.approx(
        [1.0, 1.3, 0.3], abs=1e-5
    )
    assert lstm["low"] < 0.3 < lstm["high"]
    advantage = [f"advantage_{name}" for name in ("paper_split", "plain_cut", "change")]
    assert lstm[advantage].tolist() == pytest.approx([0.2, 0.05, -0.15], abs=1e-5)
    # one seed of one network: what another would change is unknown
    assert set(table["covers"]) == {contiguous_split.TEXT}
    assert lstm[["seeds_paper_split", "seeds_plain_cut"]].tolist() == [1, 1]
    # within a side the network and the n-gram share their noise: the advantage is surer
    assert lstm["advantage_high"] - lstm["advantage_low"] < (lstm["high"] - lstm["low"]) / 100
    assert table.loc["9-gram", advantage].isna().all()
    page = (tmp_path / "l.html").read_text()
    assert "Advantage over the 9-gram" in page and "−0.150" in page
    assert "LSTM 1x64, 1 seed, test text alone" in page
    with pytest.raises(InputError, match="corpus x: no n-gram under both splits"):
        run(contiguous_split, split_arguments(tmp_path, scores[2:]))
    arguments = split_arguments(tmp_path, scores)
    arguments.remove(tmp_path / "x.contiguous.npz")
    with pytest.raises(InputError, match="corpus x.contiguous: no split given"):
        run(contiguous_split, arguments)


def seeded(folder, size, *losses, corpus="x", layers=1):
    """The scores of a network from so many seeds."""
    paths = []
    for seed, loss in enumerate(losses, start=1):
        name = f"{corpus}-{layers}-{seed}.npy"
        meta = {"corpus": corpus, "layers": layers, "size": 64, "seed": seed}
        paths.append(write_score(folder / name, np.full(size, -loss), **meta))
    return paths


def test_the_change_under_another_split_covers_the_seeds_of_both_networks(tmp_path):
    size = write_corpus(tmp_path, "x")
    write_corpus(tmp_path, "x.contiguous")
    known = [*split_scores(tmp_path, size)]
    alone = known[:2] + known[3:]  # without the network under the paper's split
    repeated = seeded(tmp_path, size, 0.98, 1.02, 1.0)
    others = seeded(tmp_path, size, *(0.9, 0.94) * 10, layers=2)
    found = {}
    for name, scores in (("one", known), ("three", alone + repeated + others)):
        run(contiguous_split, split_arguments(tmp_path, scores))
        found[name] = pd.read_csv(tmp_path / "l.csv").set_index("model")
    assert "LSTM 2x64" not in found["three"].index  # it only tells what a seed changes
    one, three = (table.loc["LSTM 1x64"] for table in found.values())
    assert three["paper_split"] == pytest.approx(1.0, abs=1e-5)  # the mean of three
    assert three[["seeds_paper_split", "seeds_plain_cut"]].tolist() == [3, 1]
    assert three["covers"] == contiguous_split.TEXT_AND_SEEDS
    # a deviation of about 0.02, of one network and of the mean of three
    sd = np.sqrt((0.02**2 * 2 + 0.02**2 * 20) / (2 + 19))
    wanted = 2 * 2.08 * sd * np.sqrt(1 + 1 / 3)
    for low, high in (("low", "high"), ("advantage_low", "advantage_high")):
        assert three[high] - three[low] == pytest.approx(wanted, rel=0.1)
        assert three[high] - three[low] > 2 * (one[high] - one[low])
    ngram = [table.loc["9-gram", ["change", "low", "high"]].tolist() for table in found.values()]
    assert ngram[0] == ngram[1]
    assert "LSTM 1x64, 1 and 3 seeds<" in (tmp_path / "l.html").read_text()


def test_where_no_network_of_a_corpus_has_two_seeds_another_corpus_stands_in(tmp_path):
    size = write_corpus(tmp_path, "x")
    for name in ("x.contiguous", "y", "y.contiguous"):
        write_corpus(tmp_path, name)
    scores = split_scores(tmp_path, size)
    ngram, flat = {"family": "ngram", "n": 1}, np.full(size, -1.5)
    for name in ("y", "y.contiguous"):
        scores.append(write_score(tmp_path / f"{name}-n.npy", flat, corpus=name, **ngram))
    arguments = split_arguments(tmp_path, scores + seeded(tmp_path, size, 1.0, 1.1, corpus="y"))
    arguments[arguments.index("--corpora")] = tmp_path / "y.npz"
    arguments.insert(arguments.index(tmp_path / "y.npz") + 1, tmp_path / "y.contiguous.npz")
    arguments.insert(arguments.index(tmp_path / "x.json"), "--corpora")
    arguments.insert(arguments.index("--resamples"), tmp_path / "y.json")
    run(contiguous_split, arguments)
    table = pd.read_csv(tmp_path / "l.csv").set_index("model")
    assert table.loc["LSTM 1x64", "covers"] == contiguous_split.TEXT_AND_SEEDS
