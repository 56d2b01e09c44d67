"""How long a run takes: rates from a few networks, and the jobs that Snakemake says are left."""

import argparse
import json

import pytest

from charlens.errors import InputError
from charlens.networks.architecture import Architecture
from charlens.progress import duration
from charlens.runs import cost, estimate
from charlens.store.models import ModelKey

TEXT = {"symbols": 87, "train": 800_000, "val": 100_000, "test": 100_000}
RUN = {
    "texts": {"wp": TEXT},
    "epochs": {"wp": 50},
    "adamw_epochs": 10,
    "hidden": [128, 512],
    "gpus": 0,
    "first_epochs": {"layers": 3, "size": 64, "epochs": 3, "snapshots": 10},
}
LSTM = ModelKey("wp", "recurrent", "lstm", 3, 64, 1, candidate=0.1)
SUMMARY = """\
output_file\tdate\trule\tlog-file(s)\tstatus\tplan
results/kenlm\t-\tkenlm\t-\tok\tno update
results/paper/tables/table1.csv\t-\ttable1\t-\tmissing\tupdate pending
results/paper/tables/table1.html\t-\ttable1\t-\tmissing\tupdate pending
results/paper/models/wp/type~lstm/layers~3/size~64/seed~1/dropout~0.1/model.safetensors\t-\ttrain\t-\tmissing\tupdate pending
results/paper/models/wp/type~lstm/layers~3/size~64/seed~1/dropout~0.1/history.csv\t-\ttrain\t-\tmissing\tupdate pending
results/paper/models/wp/type~lstm/layers~1/size~64/seed~1/dropout~0.1/model.safetensors\t-\ttrain\t-\tok\tno update
results/paper/figure5/wp.csv\t-\ttrajectory\t-\tmissing\tupdate pending
"""  # noqa: E501


def rates(arch: Architecture, per_second: float) -> dict:
    return {arch.type: [0.0, 1 / per_second / cost.multiply_adds(arch)]}


def test_two_networks_of_a_type_fix_its_rates():
    a, b = 2e-9, 1e-11
    archs = [cost.recurrent("lstm", layers, size, 87) for layers, size in ((1, 64), (3, 512))]
    measured = {c: a * cost.preactivations(c) + b * cost.multiply_adds(c) for c in archs}
    found = estimate.fit(measured | {Architecture("nn", 1, 128, 87, 3): 1e-6})
    assert found["lstm"] == pytest.approx([a, b], rel=1e-6)
    assert estimate.update_seconds(found, archs[0]) == pytest.approx(measured[archs[0]])
    # one network alone, and one that cannot be fitted exactly: still no negative time
    assert min(found["nn"]) >= 0
    odd = estimate.fit({archs[0]: 1e-5, archs[1]: 1e-6})
    assert min(odd["lstm"]) >= 0


def test_each_job_that_is_left_counts_once():
    assert estimate.pending(SUMMARY.splitlines()) == {
        ("table1", "table1"),
        ("train", LSTM),
        ("trajectory", "wp"),
    }


def test_jobs_of_another_type_count_beside_those_of_the_lstm():
    """The first epochs of a type take what its trainings take: they are no small jobs, and not one
    for all types."""
    files = {"figure5/wp.csv": "trajectory", "types/gru/figure5/wp.csv": "trajectory_of",
             "types/rnn/figure5/wp.csv": "trajectory_of", "types/gru/cells/wp.json": "cells_of",
             "types/gru/cells/wp.csv": "cells_of", "cells/wp.csv": "cells"}  # fmt: skip
    head, *_ = SUMMARY.splitlines()
    lines = [f"results/modern/{f}\t-\t{r}\t-\tmissing\tupdate pending" for f, r in files.items()]
    jobs = estimate.pending([head, *lines])
    assert jobs == {
        *(("trajectory", name) for name in ("wp", "gru/wp", "rnn/wp")),
        *(("cells", name) for name in ("wp", "gru/wp")),
    }
    assert estimate.file_of("results/types/figure5/wp.csv") == "wp"  # a run of that name
    arch = cost.recurrent("gru", 3, 64, 87)
    taken = estimate.seconds(("trajectory", "gru/wp"), RUN, rates(arch, 1e5))
    assert taken == pytest.approx(estimate.START_SECONDS + 3 * (8 + 2 * 10 / 3))


@pytest.mark.parametrize("said", ["", "Building DAG of jobs...\nNothing to be done.\n"])
def test_what_is_no_summary_is_one_clear_line(said):
    with pytest.raises(InputError, match="snakemake --summary"):
        estimate.pending(said.splitlines())


def test_the_time_of_jobs_by_hand():
    arch = cost.recurrent("lstm", 3, 64, 87)
    its = rates(arch, 1e5) | rates(Architecture("nn", 1, 512, 87, 3), 2e5)
    start = estimate.START_SECONDS
    train = estimate.seconds(("train", LSTM), RUN, its)
    assert train == pytest.approx(start + 50 * (8 + 1 / 3))
    twin = ModelKey("wp.contiguous", *("recurrent", "lstm", 3, 64, 1))
    assert estimate.seconds(("train", twin), RUN, its) == train
    assert estimate.seconds(("score", LSTM.chosen), RUN, its) == pytest.approx(start + 1 / 3)
    figure5 = estimate.seconds(("trajectory", "wp"), RUN, its)
    assert figure5 == pytest.approx(start + 3 * (8 + 2 * 10 / 3))
    nn = ModelKey("wp", "nn", seed=1, n=3)  # validation has not chosen yet: the largest
    assert estimate.seconds(("score_nn", nn), RUN, its) == pytest.approx(start + 1 / 6)
    assert estimate.seconds(("ngram", ModelKey("wp", "ngram", n=3)), RUN, its) == start + 2.5
    assert estimate.seconds(("select", LSTM.chosen), RUN, its) == estimate.OTHER_SECONDS


@pytest.mark.parametrize("added", ["block", "adamw", "block+adamw"])
def test_a_training_of_a_variant_takes_its_time(added):
    key = ModelKey("wp", "recurrent", f"lstm+{added}", 2, 64, 1)
    arch = cost.network(key, TEXT["symbols"], 0)
    its = {"lstm": [0.0, 1e-5 / cost.multiply_adds(arch)]}  # measured of the cell alone
    rule, epochs = ("train_adamw", 10) if "adamw" in added else ("train", 50)
    its_seconds = estimate.seconds((rule, key), RUN, its)
    assert its_seconds == pytest.approx(estimate.START_SECONDS + epochs * (8 + 1 / 3))


def test_the_line_says_what_is_left():
    run = RUN | {"rates": rates(cost.recurrent("lstm", 3, 64, 87), 1e5)}
    jobs = {("train", LSTM), ("table1", "table1")}
    train = duration(4 + 50 * (8 + 1 / 3))
    said = estimate.describe(jobs, run, workers=2)
    assert said.startswith(f"time: about {train} for 2 jobs, 2 side by side")
    assert f"{train} of it training" in said
    assert "1 side by side" in estimate.describe(jobs, run | {"gpus": 1}, workers=8)
    assert estimate.describe(set(), run, workers=2).startswith("time: about 0 s for 0 jobs")


def test_jobs_side_by_side():
    assert estimate.total([3, 3, 2, 2, 2], 2) == 6
    assert estimate.total([5, 1], 2) == 5
    assert estimate.total([], 2) == 0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(12.3, "12 s"), (200, "3 min"), (3599, "1 h 00 min"), (9e4, "25 h 00 min")],
)
def test_durations_for_people(seconds, said):
    assert duration(seconds) == said


def test_from_calibration_to_the_line(tmp_path, monkeypatch, capsys):
    info, out = tmp_path / "wp.json", tmp_path / "calibration.json"
    info.write_text('{"bytes": 1000000, "symbols": 20}')
    networks = [
        {"family": "recurrent", "type": "lstm", "layers": 1, "size": 8},
        {"family": "recurrent", "type": "lstm", "layers": 3, "size": 8},
        {"family": "nn", "n": 2, "candidate": 8},
    ]
    keys = ("epochs", "adamw_epochs", "hidden", "gpus", "first_epochs")
    about = {key: RUN[key] for key in keys}
    about |= {
        "streams": 10,
        "unroll": 10,
        "networks": networks,
        "fractions": {"wp": [0.8, 0.1, 0.1]},
    }
    parser = argparse.ArgumentParser()
    estimate.add_calibrate_arguments(parser)
    options = ["--info", str(info), "--seconds", "0", "--out", str(out)]
    estimate.run_calibrate(parser.parse_args(["--settings", json.dumps(about), *options]))
    found = json.loads(out.read_text())
    assert found["texts"] == {"wp": TEXT | {"symbols": 20}}
    assert set(found["rates"]) == {"lstm", "nn"} and max(found["rates"]["lstm"]) > 0

    parser = argparse.ArgumentParser()
    estimate.add_arguments(parser)
    monkeypatch.setattr("sys.stdin", SUMMARY.splitlines())
    estimate.run(parser.parse_args([str(out), "--cores", "2"]))
    assert "for 3 jobs, 2 side by side" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", SUMMARY.replace("/wp/", "/lk/").splitlines())
    with pytest.raises(InputError, match="has no entry for 'lk'"):
        estimate.run(parser.parse_args([str(out)]))
    with pytest.raises(InputError, match="make estimate"):
        estimate.run(parser.parse_args([str(tmp_path / "none.json")]))
    for cores in ("few", "0"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number"):
            estimate.cores(cores)
    out.write_text('{"rates": {}, "young": {}}')  # by an older version
    with pytest.raises(InputError, match="not a calibration by this version; run make estimate"):
        estimate.run(parser.parse_args([str(out)]))
