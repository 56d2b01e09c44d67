"""The AdamW recipe: AdamW against torch's own, its rates, and trainings that resume."""

import json
from dataclasses import replace

import pytest
import torch

from charlens.data.split import split
from charlens.errors import InputError
from charlens.networks import model_file
from charlens.networks.architecture import Architecture
from charlens.training import train
from charlens.training.adamw import adamw_
from charlens.training.checkpoint import fingerprint
from charlens.training.recipe import AdamW, RMSProp, from_options

TEXT = bytes(97 + (i * i + i // 5) % 31 % 7 for i in range(400))
DATA = split(TEXT, "streams", 4, 6, (0.6, 0.2, 0.2))
RECIPE = AdamW(epochs=3, learning_rate=0.02)


def test_steps_are_those_of_torch():
    """Its clipping and its AdamW, with the decay of matrices alone."""
    random = torch.Generator().manual_seed(1)
    shapes = {"layers.0.w_x": (4, 6), "layers.0.b": (6,), "out.w": (6, 3)}
    params = {n: torch.randn(s, generator=random, dtype=torch.float64) for n, s in shapes.items()}
    theirs = {name: p.clone().requires_grad_() for name, p in params.items()}
    decayed = [p for name, p in theirs.items() if name.endswith(("w", "w_x"))]
    groups = [{"params": decayed, "weight_decay": 0.3},
              {"params": [theirs["layers.0.b"]], "weight_decay": 0.0}]  # fmt: skip
    recipe = AdamW(weight_decay=0.3, beta1=0.8, beta2=0.9, epsilon=1e-3, max_norm=0.5)
    optimizer = torch.optim.AdamW(groups, betas=(0.8, 0.9), eps=1e-3)
    means, squares = ({name: torch.zeros_like(p) for name, p in params.items()} for _ in range(2))
    for step, size in enumerate((1.0, 0.01, 5.0), start=1):
        grads = {n: size * torch.randn(s, generator=random).double() for n, s in shapes.items()}
        for name, p in theirs.items():
            p.grad = grads[name] / 10
        torch.nn.utils.clip_grad_norm_(theirs.values(), 0.5)
        for group in optimizer.param_groups:
            group["lr"] = 0.1 / step
        optimizer.step()
        adamw_(params, grads, means, squares, 0.1 / step, step, 10, recipe)
        for name, p in params.items():
            torch.testing.assert_close(p, theirs[name].detach(), rtol=1e-5, atol=1e-7)


def test_the_rate_rises_and_falls():
    recipe = AdamW(epochs=11, learning_rate=0.01, warm_up=1.0, final=0.1)
    assert recipe.rate(1, 0.5) == pytest.approx(0.005)
    assert recipe.rate(1, 1.0) == pytest.approx(0.01)
    assert recipe.rate(6, 1.0) == pytest.approx(0.0055)  # half of the cosine
    assert recipe.rate(11, 1.0) == pytest.approx(0.001)
    assert AdamW(epochs=1, warm_up=1.0).rate(1, 1.0) == AdamW().learning_rate
    assert RMSProp().rate(11) == RMSProp().rate(11, 0.3) == pytest.approx(0.002 * 0.95)


def test_options_belong_to_their_recipe():
    options = {"epochs": 7, "decay": None, "layers": 2}
    assert from_options("adamw", options | {"weight_decay": 0.5}) == AdamW(7, weight_decay=0.5)
    assert from_options("paper", options | {"clip": 3.0}) == RMSProp(7, clip=3.0)
    with pytest.raises(InputError, match="^--clip: leave it out: AdamW"):
        from_options("adamw", options | {"clip": 3.0})
    with pytest.raises(InputError, match="^--weight-decay: leave it out: RMSProp"):
        from_options("paper", options | {"weight_decay": 0.5})


def trained(folder, type, **more):
    arch = Architecture(type, 1, 5, DATA.symbols)
    about = {"corpus": "text", "source": "test", "size": 5}
    train.train(arch, RECIPE, DATA, 1, 0.0, folder, about, "test", "reference", **more)
    return model_file.load(folder / "model.safetensors")


@pytest.mark.parametrize("type", ["lstm+adamw", "mingru+block+adamw"])
def test_it_learns_and_says_how(tmp_path, type):
    arch, _, about = trained(tmp_path, type)
    assert arch.type == about["type"] == type
    assert about["recipe"]["weight_decay"] == 0.1 and "smoothing" not in about["recipe"]
    rows = (tmp_path / "history.csv").read_text().splitlines()
    losses = [float(row.split(",")[2]) for row in rows[1:]]
    assert losses == sorted(losses, reverse=True)
    json.dumps(about)


def test_a_killed_training_resumes_bit_for_bit(tmp_path, monkeypatch):
    _, whole, _ = trained(tmp_path / "whole", "gru+adamw")
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0)
    update, calls = train.Training.update, []

    def dies(self):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        update(self)

    monkeypatch.setattr(train.Training, "update", dies)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", "gru+adamw")
    _, resumed, _ = trained(tmp_path / "killed", "gru+adamw")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_its_epochs_are_part_of_its_identity():
    """The cosine ends with the last epoch, so a longer training is another one from the start."""
    lstm = Architecture("lstm+adamw", 1, 5, 7)
    one, other = (fingerprint(lstm, replace(RECIPE, epochs=n), DATA, 1, 0.0) for n in (3, 4))
    assert one != other
    one, other = (fingerprint(lstm, RMSProp(epochs=n), DATA, 1, 0.0) for n in (3, 4))
    assert one == other
