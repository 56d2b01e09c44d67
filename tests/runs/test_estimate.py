"""What jobs cost: sizes without torch, the order of jobs, memory, and the time that is foretold."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from charlens.networks import architecture
from charlens.runs import calibrate, estimate, grid
from charlens.runs.estimate import Rates, Shape
from charlens.runs.settings import make

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
PAPER = make(CONFIG)


def wildcards(**given):
    return SimpleNamespace(**{"corpus": "wp", **{k: str(v) for k, v in given.items()}})


def training(type, layers, size, dropout=0.0):
    return wildcards(type=type, layers=layers, size=size, seed=1, dropout=dropout)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No results of this checkout are looked at."""
    monkeypatch.chdir(tmp_path)


def test_sizes_are_those_of_the_models():
    for entry in grid.entries(PAPER):
        for symbols in (87, 101):
            shape = (*entry.values(), symbols)
            hidden = estimate.hidden_size(*shape)
            assert hidden == architecture.hidden_size(*shape), shape
            assert estimate.parameters(*shape[:2], hidden, symbols) == architecture.count(
                architecture.Architecture(*shape[:2], hidden, symbols)
            )


def test_multiply_adds_counted_by_hand():
    # layer 1: 4 gates x 64 x 64 recurrent, input looked up; softmax 64 x 87
    assert estimate.multiply_adds(Shape("lstm", 1, 64), 87) == 4 * 64 * 64 + 64 * 87
    assert estimate.multiply_adds(Shape("nn", 1, 128, context=3), 87) == 128 * (3 + 87)
    H = architecture.hidden_size("gru", 3, 256, 87)
    # three recurrent products and two from the layer below
    assert estimate.multiply_adds(Shape("gru", 3, 256), 87) == 5 * 3 * H * H + H * 87


def test_the_longest_go_first():
    first = estimate.priority(PAPER, training("lstm", 3, 512))
    assert first == max(
        estimate.priority(PAPER, training(**entry)) for entry in grid.entries(PAPER)
    )
    small = estimate.priority(PAPER, training("rnn", 1, 64))
    assert 0 < small < estimate.priority(PAPER, training("rnn", 1, 256)) < first
    # a short job that figure 5 waits for goes before a longer one that nothing waits for
    waited_for = estimate.priority(PAPER, wildcards(context=1, hidden=128, seed=1))
    assert waited_for > estimate.trajectory_priority(PAPER, "wp") > small


def test_figure_5_waits_for_three_layers_though_there_are_four():
    deeper = CONFIG | {"grid": CONFIG["grid"] | {"layers": [1, 2, 3, 4]}}
    first_epochs = CONFIG["figures"]["first_epochs"] | {"corpora": ["lk"]}
    elsewhere = deeper | {"figures": CONFIG["figures"] | {"first_epochs": first_epochs}}
    added = [
        estimate.priority(make(deeper), training("lstm", layers, 64))
        - estimate.priority(make(elsewhere), training("lstm", layers, 64))
        for layers in (2, 3, 4)
    ]
    assert added[0] == added[2] == 0 < added[1]


def test_memory_is_bounded_and_grows():
    asked = [
        estimate.memory(PAPER, training(**entry, dropout=0.2)) for entry in grid.entries(PAPER)
    ]
    assert 400 < min(asked) < 700 and max(asked) < 2500
    assert estimate.memory(PAPER, training("lstm", 1, 512)) == max(
        estimate.memory(PAPER, training("lstm", 1, size)) for size in (64, 128, 256, 512)
    )
    scoring_nn = wildcards(context=6, seed=1)
    assert estimate.memory(PAPER, scoring_nn) == estimate.memory(
        PAPER, wildcards(context=6, hidden=512, seed=1)
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads its memory from /proc")
@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("shape", [("lstm", 1, 256), ("gru", 3, 256)])
def test_a_training_stays_within_the_memory_that_it_asks_for(backend, shape):
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "from charlens.runs import calibrate; from charlens.runs.estimate import Shape\n"
        f"arch = calibrate.architecture(Shape{shape!r}, 87)\n"
        f"t = calibrate.prepare(arch, 0.2, 100, 100, {backend!r})\n"
        "t.update(); t.update(); t.end_epoch()\n"
        "print(open('/proc/self/status').read())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # its own peak: getrusage would count what this process held when it forked
    used = int(re.search(r"VmHWM:\s+(\d+) kB", done.stdout)[1]) / 2**10
    assert used < estimate.memory(PAPER, training(*shape, dropout=0.2))


@given(
    st.lists(st.floats(0.1, 1e4), min_size=1, max_size=60),
    st.integers(1, 16),
)
def test_side_by_side_is_bounded_as_a_list_schedule_is(durations, workers):
    total = estimate.side_by_side(durations, workers)
    least = max(max(durations), sum(durations) / workers)
    assert least * (1 - 1e-9) <= total <= sum(durations) * (1 + 1e-9)
    assert total <= 4 / 3 * least + max(durations)


def test_side_by_side_by_hand():
    assert estimate.side_by_side([3, 3, 2, 2, 2], 2) == 7  # the longest first is not the best: 6
    assert estimate.side_by_side([5, 1, 1, 1, 1, 1], 2) == 5


def test_rates_are_kept_and_the_time_is_what_they_say(tmp_path):
    shapes = [Shape("lstm", 2, 64), Shape("nn", 1, 128, 3), Shape("lstm", 2, 64, dropout=True)]
    measured = [(1000.0, 8000.0, 4000.0), (500.0, 2000.0, 2000.0), (10.0, 8000.0, 4000.0)]
    rates = {shape: Rates(*its) for shape, its in zip(shapes, measured, strict=True)}
    path = tmp_path / "rates.csv"
    with open(path, "w", newline="") as file:
        estimate.write_rates(file, rates)
    assert estimate.read_rates(path) == rates

    wp = PAPER.corpora["wp"].sources[0].bytes
    epoch = 0.8 * wp / 1000 + 0.1 * wp / 8000
    train = estimate.seconds(PAPER, rates, "train", training("lstm", 2, 64))
    assert train == pytest.approx(50 * epoch + estimate.START_SECONDS, rel=1e-3)
    score = estimate.seconds(PAPER, rates, "score", wildcards(type="lstm", layers=2, size=64))
    assert score == pytest.approx(0.1 * wp / 4000 + estimate.START_SECONDS, rel=1e-3)
    assert estimate.seconds(PAPER, rates, "train", training("lstm", 2, 64, 0.1)) > 50 * train

    jobs = [("train", training("lstm", 2, 64))] * 2 + [("train", training("gru", 1, 64))]
    said = estimate.describe(PAPER, jobs, path, workers=2)
    assert said.startswith(f"time: about {estimate.clock(train)} with 2 jobs side by side")
    assert estimate.clock(2 * train) in said and "1 jobs on texts or shapes not seen" in said
    card = estimate.describe(PAPER, jobs, path, workers=2, gpus=1)  # which both must take
    assert card.startswith(f"time: about {estimate.clock(2 * train)} with 2 jobs")


def test_without_rates_it_says_what_to_do(tmp_path):
    job = ("train", training("lstm", 1, 64))
    assert "make estimate" in estimate.describe(PAPER, [job], tmp_path / "none.csv", 2)
    assert estimate.describe(PAPER, [], tmp_path / "none.csv", 2) is None


def test_a_corpus_of_unknown_length_is_not_guessed(tmp_path):
    mine = CONFIG["corpora"]["wp"] | {"sources": [{"name": "mine", "path": "x"}]}
    its = make(CONFIG | {"use": ["mine"], "corpora": CONFIG["corpora"] | {"mine": mine}})
    assert estimate.characters(its, "mine") == {}
    assert estimate.symbols(its, "mine") == estimate.SYMBOLS


def test_the_provenance_of_a_corpus_goes_before_the_configuration(tmp_path):
    folder = tmp_path / "results" / "paper" / "corpora"
    folder.mkdir(parents=True)
    (folder / "lk.json").write_text('{"bytes": 1000, "symbols": 50}')
    assert estimate.characters(PAPER, "lk") == {"train": 900, "val": 50, "test": 50}
    assert estimate.symbols(PAPER, "lk") == 50


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(12.3, "12 s"), (200, "3 min"), (3599, "1 h 00 min"), (9e4, "25 h 00 min")],
)
def test_durations_for_people(seconds, said):
    assert estimate.clock(seconds) == said


def test_planning_needs_no_torch():
    code = (
        "import sys; from charlens.runs import estimate, grid, host, modules, settings\n"
        "sys.exit(bool({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_calibration_measures_every_shape(tmp_path):
    import argparse
    import json

    config = {**CONFIG, "grid": {**CONFIG["grid"], "sizes": [8], "layers": [1], "omit": []}}
    config["grid"]["dropout"] = [{"values": [0.0, 0.5]}]
    config["nn"] = {**CONFIG["nn"], "contexts": [1, 2], "hidden": [8]}
    shapes = estimate.shapes(make(config))
    assert len(shapes) == 3 * 2 + 2
    parser = argparse.ArgumentParser()
    calibrate.add_arguments(parser)
    out = tmp_path / "rates.csv"
    options = f"--symbols 20 --streams 10 --unroll 10 --seconds 0.01 --out {out}".split()
    calibrate.run(parser.parse_args(["--shapes", json.dumps(shapes), *options]))
    rates = estimate.read_rates(out)
    assert rates.keys() == {Shape(**shape) for shape in shapes}
    assert all(min(its) > 0 for its in rates.values())
