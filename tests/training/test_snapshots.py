"""Snapshots of a network while it is trained."""

import re

import pytest
import torch

from charlens.errors import InputError
from charlens.networks import model_file
from charlens.networks.architecture import Architecture
from charlens.training import snapshots, train
from charlens.training.recipe import RMSProp

ABOUT = {"corpus": "text", "source": "random", "size": None}


def trained(directory, data, schedule=None):
    arch = Architecture("lstm", 1, 5, data.symbols)
    recipe = RMSProp(epochs=4)
    train.train(
        arch, recipe, data, 1, 0.3, directory, ABOUT, "test", "reference", schedule=schedule
    )
    return model_file.load(directory / "model.safetensors")


def test_the_schedule_is_dense_at_first_and_then_one_per_epoch():
    schedule = snapshots.Schedule(per_epoch=4, epochs=2)
    taken = [
        (epoch, window)
        for epoch in (1, 2, 3)
        for window in range(1, 11)
        if schedule.due(epoch, window, windows=10)
    ]
    assert taken == [(1, 2), (1, 5), (1, 8), (1, 10), (2, 2), (2, 5), (2, 8), (2, 10), (3, 10)]


def test_more_snapshots_than_windows_are_one_per_window():
    schedule = snapshots.Schedule(per_epoch=9, epochs=1)
    assert [schedule.due(1, window, windows=3) for window in (1, 2, 3)] == [True] * 3


def test_snapshots_leave_the_training_as_it_is(tmp_path, data):
    _, plain, _ = trained(tmp_path / "plain", data)
    _, watched, _ = trained(tmp_path / "watched", data, snapshots.Schedule(2, 1))
    assert all(torch.equal(plain[name], watched[name]) for name in plain)
    assert not (tmp_path / "plain" / "snapshots.safetensors").exists()


def test_the_last_snapshot_is_the_network_at_the_end(tmp_path, data):
    schedule = snapshots.Schedule(2, 1)
    arch, params, about = trained(tmp_path, data, schedule)
    again, found, described = snapshots.load(tmp_path / "snapshots.safetensors")
    assert again == arch
    assert described["seed"] == about["seed"]
    assert [epoch for epoch, _ in found] == [0.4, 1, 2, 3, 4]  # of five windows
    kept = dict(found)[about["epoch"]]
    for name, value in params.items():
        torch.testing.assert_close(kept[name], value, rtol=1e-3, atol=1e-6)


def test_a_training_that_was_stopped_has_every_snapshot(tmp_path, data, monkeypatch):
    schedule = snapshots.Schedule(2, 2)
    trained(tmp_path / "whole", data, schedule)
    ends = train.Training.end_epoch

    def stop(self):
        if self.epoch == 3:
            raise KeyboardInterrupt
        return ends(self)

    with monkeypatch.context() as patch:
        patch.setattr(train.Training, "end_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "stopped", data, schedule)
    trained(tmp_path / "stopped", data, schedule)
    whole, stopped = (
        (tmp_path / name / "snapshots.safetensors").read_bytes() for name in ("whole", "stopped")
    )
    assert whole == stopped


def test_a_checkpoint_without_snapshots_is_of_another_training(tmp_path, data):
    trained(tmp_path, data)
    (tmp_path / "model.safetensors").unlink()
    trained(tmp_path, data, snapshots.Schedule(1, 1))
    _, found, _ = snapshots.load(tmp_path / "snapshots.safetensors")
    assert len(found) == 4


def test_a_model_is_not_taken_for_snapshots(tmp_path, data):
    trained(tmp_path, data)
    with pytest.raises(InputError, match="not the snapshots"):
        snapshots.load(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1e6, "a parameter is 1e+06, too large for half precision"),
        (float("nan"), "a parameter is not finite"),
        (float("-inf"), "a parameter is not finite"),
    ],
)
def test_parameters_that_no_snapshot_holds_are_refused(value, words):
    with pytest.raises(InputError, match=f"^{re.escape(words)}$"):
        snapshots.take({"w": torch.tensor([1.0]), "v": torch.tensor([value, 2.0])})


@pytest.mark.parametrize("epoch", [1, 2])  # of the fault
@pytest.mark.parametrize(
    ("value", "words"),
    [(7e4, "a parameter is 7e+04, too large"), (float("nan"), "a parameter is not finite")],
)
def test_a_training_that_diverges_at_a_snapshot_leaves_a_model(
    tmp_path, data, monkeypatch, value, words, epoch
):
    update = train.Training.update

    def spoilt(self):
        update(self)
        if (self.epoch, self.window) == (epoch, 2):
            self.params["out.b"][0] = value

    monkeypatch.setattr(train.Training, "update", spoilt)
    _, _, about = trained(tmp_path, data, snapshots.Schedule(2, 2))
    assert about["failed"].startswith(f"training diverged in epoch {epoch}: {words}")
    assert about["epoch"] == epoch - 1
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 1 + epoch
    taken = [moment for moment, _ in snapshots.load(tmp_path / "snapshots.safetensors")[1]]
    assert taken == ([0.0] if epoch == 1 else [0.4, 1.0])


def test_a_training_without_snapshots_may_have_any_parameters(tmp_path, data, monkeypatch):
    update = train.Training.update

    def spoilt(self):
        update(self)
        if self.epoch == 1:
            self.params["out.b"] += 7e4  # which changes no probability
        elif self.epoch == 2:
            self.params["out.b"][0] = float("nan")

    monkeypatch.setattr(train.Training, "update", spoilt)
    _, params, about = trained(tmp_path, data)
    assert "failed" in about and about["epoch"] == 1 and params["out.b"].max() > 65504
