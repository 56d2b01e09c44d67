"""The benchmark: what is made of its measurements, and a miniature of the measuring itself."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from charlens.bench import speed
from charlens.runs import estimate
from charlens.runs.estimate import Rates, Shape
from charlens.runs.settings import make

ROOT = Path(__file__).parents[2]
PAPER = yaml.safe_load((ROOT / "config.yaml").read_text())
MEASURED = {
    Shape("lstm", 1, 64): {"stock": 1e5, "autocast": 2e5, "ours": 6e5, "dropout": 5e5,
                           "validate": 9e5, "score": 8e5},
    Shape("gru", 2, 64): {"stock": 1e5, "autocast": 5e4, "ours": 4e5, "dropout": 3e5,
                          "validate": 9e5, "score": 8e5},
}  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No results of this checkout are looked at."""
    monkeypatch.chdir(tmp_path)


def test_ratios_are_to_float32_and_to_the_better_stock_setting():
    table = speed.rows(MEASURED)
    assert list(table[0]) == speed.COLUMNS
    ratios = {(r["type"], r["backend"]): (r["ratio_fp32"], r["ratio_best"]) for r in table}
    assert ratios["lstm", "ours"] == (6, 3) and ratios["gru", "ours"] == (4, 4)
    assert ratios["lstm", "stock"] == (1, 0.5) and ratios["gru", "autocast"] == (0.5, 0.5)
    assert speed.least(table)[:2] == [
        "LSTM, 1 layer: at least 6.0 x stock float32, 3.0 x best stock",
        "GRU: at least 4.0 x stock float32, 4.0 x best stock",
    ]


def test_the_tables_say_what_was_measured():
    table = speed.rows(MEASURED)
    assert (
        "| LSTM 1 x 64 | 64 | 100 | 200 | 600 | 6.0 | 3.0 |" in speed.markdown(table).splitlines()
    )
    # 3 x (4 x 64 x 64 + 64 x 87) multiply-adds a character, 6e5 characters a second
    share = 3 * (4 * 64 * 64 + 64 * 87) * 6e5 / 1e11
    assert f"{share:.0%}" in speed.text(table, {"float32": 5e10, "bfloat16": 1e11})


def test_the_jobs_are_those_of_the_workflow():
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "-n", "-q",
         "rules", "--directory", "."], capture_output=True, text=True, check=True,
    )  # fmt: skip
    counts = {r[0]: int(r[1]) for r in map(str.split, done.stdout.splitlines())
              if len(r) == 2 and r[1].isdigit()}  # fmt: skip
    rules = [rule for rule, _ in speed.reproduction(make(PAPER))]
    for rule in ("train", "score", "train_nn", "score_nn", "ngram", "score_ngram", "trajectory"):
        assert rules.count(rule) == counts[rule], rule
    assert len(speed.whole_grid(make(PAPER))) == 66


def test_the_estimate_is_the_sum_of_its_jobs(monkeypatch):
    config = {**PAPER, "use": ["wp"], "grid": {**PAPER["grid"], "types": ["lstm"], "layers": [1]}}
    config["grid"] |= {"sizes": [64], "dropout": [{"values": [0.0]}], "seeds": [{"values": [1]}]}
    config["contiguous_split"] = PAPER["contiguous_split"] | {"corpora": []}
    first_epochs = PAPER["figures"]["first_epochs"] | {"corpora": ["lk"]}
    config["figures"] = PAPER["figures"] | {"first_epochs": first_epochs}
    rates = {"ours": Rates(1e7, 1e8, 1e8), "stock": Rates(1e6, 1e7, 1e7)}
    fixed = {Shape("nn", 1, hidden, context): rates
             for hidden in (128, 256, 512) for context in range(1, 7)}  # fmt: skip
    monkeypatch.setattr(speed, "measure_nn", lambda *_: fixed)
    grid, whole = speed.estimates(make(config), MEASURED, 0, cores=1)
    bytes = PAPER["corpora"]["wp"]["sources"][0]["bytes"]
    for backend, (train, validate) in (("stock", (1e5, 3e5)), ("ours", (6e5, 9e5))):
        seconds = 4 + 50 * (0.8 * bytes / train + 0.1 * bytes / validate)
        assert f"{backend} {estimate.clock(seconds)}" in grid
    assert whole.startswith("whole reproduction (")


def test_every_candidate_updates_every_shape():
    for type in ("lstm", "gru", "rnn"):
        steps = speed.candidates(type, 2, 3)
        assert set(steps) == {*speed.BACKENDS, "dropout", "validate", "score"}
        for step in steps.values():
            step()


def test_stock_learns_what_it_is_shown():
    stock = speed.Stock("lstm", 1, 16, autocast=False)
    before = [p.detach().clone() for p in stock.parameters]
    for _ in range(3):
        stock.update()
    assert all((p != b).any() for p, b in zip(stock.parameters, before, strict=True))
    assert stock.state[0].grad_fn is None


def test_turns_are_taken_by_all():
    calls = []
    taken = speed.take_turns({name: (lambda n=name: calls.append(n)) for name in "ab"}, 0)
    assert calls == ["a", "a", "b", "b"] * 3  # three rounds; the first of two warms up
    assert taken.keys() == {"a", "b"}


def test_nothing_measured_is_one_clear_line(tmp_path):
    with pytest.raises(speed.InputError, match="make bench"):
        speed.read(tmp_path / "none.csv")
