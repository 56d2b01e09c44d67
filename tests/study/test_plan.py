"""The plan of a study: streams from the length, networks from the time."""

from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from charlens.errors import InputError
from charlens.runs import settings
from charlens.study import plan

SPEED = {type: [1e-9, 1e-11] for type in (*plan.TYPES, "nn")}


def test_streams_and_the_least_length():
    assert plan.streams_of(50_000) == 10 and plan.streams_of(1_000_000) == 50
    assert plan.streams_of(10**9) == 100
    with pytest.raises(InputError, match="at least 50,000"):
        plan.streams_of(49_999)


def test_slow_n_nns_leave_less_time_for_networks():
    epochs = [
        plan.plan(100_000, 1000, 5, 2, SPEED | {"nn": [0, b]}).epochs for b in (1e-11, 1e-8, 2e-8)
    ]
    assert epochs == sorted(epochs, reverse=True) and epochs[0] > epochs[-1]


def test_the_machine_is_measured_for_all_that_is_trained(monkeypatch):
    monkeypatch.setattr(plan, "MEASURE", 0.0)
    assert plan.rates(10, 50).keys() == SPEED.keys()


def test_more_time_gives_larger_networks_and_the_estimate_keeps_to_it():
    plans = [plan.plan(500_000, 80, minutes, 2, SPEED) for minutes in (1, 5, 20, 60, 600)]
    sizes = [sum(p.layers) * sum(p.sizes) for p in plans]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
    for p, minutes in zip(plans[1:], (5, 20, 60, 600), strict=True):
        assert p.seconds <= 60 * minutes
        assert plan.EPOCHS[0] <= p.epochs <= plan.EPOCHS[1]
    assert plans[0].layers == (1,) and plans[0].epochs == plan.EPOCHS[0]


def test_a_short_text_is_not_trained_on_for_longer_than_it_helps():
    fast = {type: [0, 1e-13] for type in SPEED}
    chinese = plan.plan(71_000, 1264, 20, 2, fast)
    assert chinese.epochs < plan.plan(71_000, 80, 20, 2, fast).epochs < plan.EPOCHS[1]
    assert chinese.seconds < 60 * 20
    assert plan.most_epochs(40_000, 740_000) == plan.EPOCHS[1]  # 1 MB gets all
    assert plan.most_epochs(10**9, 40_000) == plan.EPOCHS[0]
    # The learning rate falls before validation turns: see the docstring.
    for ratio, turn in ((0.34, 13), (0.75, 14), (2.1, 8), (7.4, 8)):
        epochs = plan.most_epochs(int(100_000 * ratio), 100_000)
        assert round(plan.BEFORE_TURN * epochs) <= turn < epochs


@pytest.mark.parametrize("minutes", [1, 20, 600])
def test_the_configuration_is_one_of_a_run(minutes):
    config = yaml.safe_load(Path(__file__).parents[2].joinpath("config.yaml").read_text())
    chosen = plan.plan(500_000, 80, minutes, 2, SPEED)
    update_config(config, plan.configuration("mine", "a text", "prose", "auto", "a.txt", chosen))
    made = settings.make(config)
    assert made.use == ["text"] and made.split.streams == chosen.streams


def test_no_larger_networks_than_the_largest_are_promised():
    chosen = plan.Plan(plan.TYPES, 10, *plan.LADDER[0], epochs=5, seconds=0)
    assert plan.is_largest(plan.configuration("a", "A", "prose", "bytes", "a.txt", chosen))
    chosen = plan.Plan(plan.TYPES, 10, *plan.LADDER[1], epochs=5, seconds=0)
    assert not plan.is_largest(plan.configuration("a", "A", "prose", "bytes", "a.txt", chosen))


def test_most_parameters_of_a_large_alphabet_are_its_rows():
    # LSTM 1x64: 4 x 64 rows in and 64 columns out for each symbol, of 4 (K + 64 + 1) 64 + 65 K
    assert plan.share_of_alphabet(64, 1000) == pytest.approx(321_000 / 337_640, abs=1e-3)
    assert plan.share_of_alphabet(64, 80) < 0.65
