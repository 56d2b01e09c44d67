"""`charlens trajectory`: an LSTM in its first epochs, compared with each n-NN (figure 5).

The first epochs of the best LSTM among those given are trained once more, from the same seed and
so through the same parameters, and several snapshots are taken per epoch. The predictions of each
snapshot over the whole test split are compared with those of each finished n-NN:

    kl     mean over the test characters of KL(p||q) + KL(q||p), nats per character
    delta  test loss of the n-NN minus test loss of the LSTM, nats per character

All snapshots are compared window by window, so that memory stays small.
"""

import argparse
import contextlib
import filecmp
from copy import deepcopy
from pathlib import Path

import torch

from charlens import arguments
from charlens.backends import base, selection
from charlens.data import split
from charlens.errors import InputError
from charlens.files import write_rows
from charlens.networks import metadata, model_file
from charlens.networks.architecture import Architecture
from charlens.progress import say
from charlens.store.models import recipe_of
from charlens.store.tables import read_table
from charlens.training.evaluate import inputs_and_targets
from charlens.training.recipe import from_options
from charlens.training.score import check_split
from charlens.training.snapshots import Schedule, moment
from charlens.training.train import Training


def trajectory(
    lstms, n_nns, data: split.Split, epochs: int, per_epoch: int, backend_name="auto"
) -> list[dict]:
    """Rows of figure 5: layers and size of the LSTM, look (its snapshot), epoch, n, kl, delta.

    lstms, n_nns: model files; the best LSTM is used. per_epoch: how many snapshots.
    Raises InputError where a file is no such model, or of another split than `data`.
    """
    for path, recurrent in [(path, True) for path in lstms] + [(path, False) for path in n_nns]:
        check(path, recurrent, data)
    path = model_file.best(lstms)
    arch, _, about = model_file.load_arrays(path)
    metadata.require(about, path, ("corpus", "size", "seed", "dropout", "recipe"))
    try:
        recipe = from_options(recipe_of(arch.type), about["recipe"])
    except InputError as error:
        raise InputError(f"{path}: its recipe: {error}") from None
    training = Training(arch, recipe, data, about["seed"], about["dropout"], backend_name)
    label = f"{about['corpus']} figure 5"
    snapshots = []  # (fractional epoch, parameters)
    known = losses_in_history(path)
    schedule = Schedule(per_epoch, epochs)
    for epoch in range(1, epochs + 1):
        while training.window < training.windows:
            training.update()
            if schedule.due(epoch, training.window, training.windows):
                when = moment(epoch, training.window, training.windows)
                snapshots.append((when, deepcopy(training.params)))
        row = training.end_epoch()
        say(label, f"epoch {epoch}/{epochs} val {row['val_loss']:.4f}")
        off = row["val_loss"] - known.get(epoch, row["val_loss"])
        if off:
            say(
                label,
                f"the validation loss is off by {off:.1e} from the history of {path}, which was"
                " trained on another kind of processor or with other code",
            )
            known = {}  # said once
    rows = compare(arch, training.backend, snapshots, n_nns, data, label, backend_name)
    return [{"layers": arch.layers, "size": about["size"]} | row for row in rows]


def check(path: Path, recurrent: bool, data: split.Split) -> None:
    """Raise InputError unless a model is a recurrent network, or else an n-NN, of this split."""
    about = model_file.about(path)
    metadata.require(about, path)
    if recurrent != (about["context"] == 0):
        found, wanted = ("an n-NN", "--nns") if recurrent else ("a recurrent network", "--lstms")
        raise InputError(f"{path}: {found}; give it to {wanted}")
    check_split(path, about, data)


def losses_in_history(model: Path) -> dict[int, float]:
    """The validation loss of each epoch of a model's training, where its history is at hand: beside
    the model, or beside the candidate that it is a copy of."""
    model = Path(model)
    for path in [model, *model.parent.parent.glob("*/model.safetensors")]:
        with contextlib.suppress(InputError, OSError):
            if filecmp.cmp(path, model, shallow=False):
                table = read_table(path.with_name("history.csv"), ("epoch", "val_loss"))
                return dict(zip(table["epoch"], table["val_loss"], strict=True))
    return {}


@torch.no_grad()
def compare(
    arch: Architecture, backend, snapshots, n_nns, data: split.Split, label, backend_name
) -> list[dict]:
    """Rows of look, epoch, n, kl, delta: each snapshot against each n-NN (figure 5).

    snapshots: (fractional epoch, parameters) of the LSTM, on `backend`. n_nns: model
    files. kl, delta: nats per character.
    """
    x, y = inputs_and_targets(data, "test", arch)
    states = [backend.zero_state(data.streams) for _ in snapshots]
    fixed = []
    for path in n_nns:
        n_arch, n_params, about = model_file.load_arrays(path)
        n_backend = selection.choose(n_arch, data.streams, data.unroll, backend_name)
        contexts, _ = inputs_and_targets(data, "test", n_arch)
        fixed.append((about["context"], n_backend, n_backend.to_backend(n_params), contexts))
    kl = torch.zeros(len(snapshots), len(fixed), dtype=torch.float64)
    delta = torch.zeros_like(kl)
    windows = range(0, y.shape[1], data.unroll)
    for done, at in enumerate(windows, start=1):
        window = slice(at, at + data.unroll)
        target = torch.from_numpy(y[:, window]).long().unsqueeze(2)
        others = [
            torch.as_tensor(n_backend.log_probs(params, contexts[:, window], None))
            for _, n_backend, params, contexts in fixed
        ]
        for row, (_, params) in enumerate(snapshots):
            ours = torch.as_tensor(backend.log_probs(params, x[:, window], states[row]))
            for column, other in enumerate(others):
                # (p - q)(log p - log q), summed over the alphabet, is KL(p||q) + KL(q||p)
                both = (ours.exp() - other.exp()) * (ours - other)
                kl[row, column] += both.sum(dtype=kl.dtype)
                gain = ours.gather(2, target) - other.gather(2, target)
                delta[row, column] += gain.sum(dtype=kl.dtype)
        if done % 10 == 0 or done == len(windows):
            say(label, f"compared {done} of {len(windows)} windows")
    kl, delta = kl / y.size, delta / y.size
    return [
        {
            "look": row + 1,
            "epoch": epoch,
            "n": n,
            "kl": kl[row, column].item(),
            "delta": delta[row, column].item(),
        }
        for row, (epoch, _) in enumerate(snapshots)
        for column, (n, *_) in enumerate(fixed)
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("split", type=Path, help="the corpus, split (.npz)")
    parser.add_argument("--lstms", type=Path, nargs="+", required=True, help="the best is taken")
    parser.add_argument("--nns", type=Path, nargs="+", required=True, help="finished n-NN models")
    parser.add_argument(
        "--epochs", type=arguments.count, default=3, help="of the LSTM, from its beginning"
    )
    parser.add_argument(
        "--snapshots", "--looks", type=arguments.count, default=10, help="per epoch"
    )
    base.add_backend(parser)
    base.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="the comparison (.csv)")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    data = split.load(args.split)
    rows = trajectory(args.lstms, args.nns, data, args.epochs, args.snapshots, args.backend)
    write_rows(args.out, rows)
