"""Snapshots of a network while it is trained."""

import pytest
import torch

from charlens.errors import InputError
from charlens.networks import model_file
from charlens.networks.architecture import Architecture
from charlens.training import snapshots, train
from charlens.training.recipe import Recipe

ABOUT = {"corpus": "text", "source": "random", "size": None}


def trained(directory, data, schedule=None):
    arch = Architecture("lstm", 1, 5, data.symbols)
    recipe = Recipe(epochs=4)
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


def test_what_half_precision_cannot_hold_is_refused():
    with pytest.raises(InputError, match="half precision"):
        snapshots.take({"w": torch.tensor([1e6])})
