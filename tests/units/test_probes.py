"""Linear probes: what is spread over many units is found, what is absent is not."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import small_split

from charlens.networks import network
from charlens.networks.architecture import Architecture
from charlens.units import activations, probes, selectivity, unit_tables

UNITS = 24


@pytest.fixture(scope="module")
def spread():
    """A random network, a text, and labels of its three parts: the sum of many units is above its
    mean (yes/no), the sum in steps (a count), and a coin for each character."""
    torch.set_num_threads(1)
    data = small_split(streams=10, unroll=20, windows=(20, 10, 20), symbols=30)
    arch = Architecture("rnn", 1, UNITS, data.symbols)
    params = network.initialise(arch, 0.4, torch.Generator().manual_seed(1))
    signs = np.random.default_rng(0).choice([-1, 1], UNITS)
    rng, labels = np.random.default_rng(1), {}
    for part in ("train", "val", "test"):
        x = torch.from_numpy(getattr(data, part).x)
        units = torch.cat([h for _, h in activations.memories(arch, params, x)], 2)[0].numpy()
        total = (units * signs).sum(axis=2)
        known = np.ones(total.shape, bool)
        labels[part] = {
            "sum": ((total > 0).astype(int), known, True),
            "steps": (np.floor(2 * total).astype(int), known, False),
            "coin": (rng.integers(2, size=total.shape), known, True),
        }
    return data, arch, params, labels


@pytest.mark.filterwarnings("error")
def test_a_fit_that_is_cut_short_warns_nobody(spread, monkeypatch):
    """Validation chooses among the fits; a job's log and a run's progress show no warning."""
    monkeypatch.setattr(probes, "ITERATIONS", 1)
    data, arch, params, labels = spread
    own, other = ({"sum": labels[part]["sum"]} for part in ("train", "val"))
    assert probes.fit_probes(arch, params, data.train, data.val, own, other).any()


def test_what_is_spread_over_many_units_is_found_and_what_is_absent_is_not(spread):
    data, arch, params, labels = spread
    weights = probes.fit_probes(arch, params, data.train, data.val, labels["train"], labels["val"])
    assert weights.shape == (1, UNITS, 3)
    found = probes.probe_strengths(arch, params, weights, data.test.x, labels["test"])[0]
    x = torch.from_numpy(data.test.x)
    units = torch.cat([h for _, h in activations.memories(arch, params, x)], 2)[0]
    single = selectivity.scored(units.permute(2, 0, 1).numpy().astype(np.float16), labels["test"])
    best = selectivity.strength(single.score, single.yes_no).max(axis=0)
    assert (found[:2] > 0.9).all() and (best[:2] < 0.8).all()
    assert found[2] < 0.1  # about what the best single unit has by chance


def test_a_fit_knows_nothing_of_the_test_streams(spread):
    data, arch, params, labels = spread
    other = dataclasses.replace(data, test=small_split(seed=9).test)
    found = [
        probes.fit_probes(arch, params, d.train, d.val, labels["train"], labels["val"])
        for d in (data, other)
    ]
    np.testing.assert_array_equal(*found)


def test_probes_are_fitted_where_labels_are_defined():
    rng = np.random.default_rng(0)
    units = rng.normal(size=(400, 3)).astype(np.float32)
    label, defined = (units[:, 1] > 0).astype(int), rng.random(400) < 0.5
    label[~defined] = 1 - label[~defined]  # would turn the probe round
    weights = probes.best_probe(units, (label, defined), units, (label, defined), True)
    assert np.abs(weights).argmax() == 1 and weights[1] > 0
    nowhere = np.zeros(400, bool)
    assert not probes.best_probe(units, (label, nowhere), units, (label, defined), True).any()


@pytest.mark.parametrize(
    ("single", "probe", "told"),
    [(0.9, 0.92, "one unit"), (0.6, 0.9, "many units"), (0.5, 0.52, "baselines alone"),
     (0.6, 0.58, "one unit")],
)  # fmt: skip
def test_what_tells_most_of_a_hypothesis(single, probe, told):
    assert unit_tables.told_by(single, probe, last_k=0.5, untrained=0.4) == told
    assert unit_tables.told_by(single, probe, last_k=0.4, untrained=0.5) == told


def test_the_baseline_is_the_best_layer_of_the_untrained_network():
    rows = [[1, "quote", 0.5, 0.4, 0.1, 0.93], [2, "quote", 0.4, 0.96, 0.1, 0.2],
            [1, "depth", 0.9, 0.3, 0.1, 0.2], [2, "depth", 0.1, 0.92, 0.1, 0.2]]  # fmt: skip
    columns = ["layer", "hypothesis", "single", "probe", "last_k", "untrained"]
    found = unit_tables.told(pd.DataFrame(rows, columns=columns)).set_index("hypothesis")
    assert found["by"].to_dict() == {"quote": "baselines alone", "depth": "one unit"}
    assert found.loc["quote", "untrained"] == 0.93 and (found["layer"] == 2).all()
