"""`charlens train`: train one network, a recurrent stack or an n-NN (section 4.1).

Uniform initialisation; windows of S streams x T steps in the order of the text, the state carried
from window to window and reset to zero at the start of every epoch; RMSProp; a learning rate that
decays after epoch 10; early stopping: the result is the parameters of the epoch with the lowest
validation loss. (Types with "+adamw" have another optimizer and other rates, see `recipe`.)

A killed training resumes: `checkpoint.pt`, beside its outputs, is written every minute and after
each epoch, and when the training is told to stop (see `stopping`), with the optimizer's state and
the position in the data. The result is bit for bit that of an uninterrupted training.

Several networks of one shape, which differ in seed and dropout, can be trained in one process: see
`side_by_side`.
"""

import argparse
import math
import signal
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from charlens import arguments
from charlens.backends import base, selection
from charlens.data import split
from charlens.errors import InputError
from charlens.files import only_one, write_rows
from charlens.networks import arrays, model_file
from charlens.networks.architecture import Architecture, count, hidden_size
from charlens.networks.version import version
from charlens.progress import say, time_left
from charlens.store.models import check_type, is_own, recipe_of
from charlens.store.reading import read_json, require
from charlens.text import line_ends, symbols, unicode
from charlens.training import side_by_side, snapshots
from charlens.training.checkpoint import fingerprint, read_checkpoint, write_checkpoint
from charlens.training.dropout import draw_mask
from charlens.training.evaluate import inputs_and_targets, mean_loss
from charlens.training.recipe import AdamW, Recipe, RMSProp, divergence, from_options
from charlens.training.rmsprop import rmsprop_
from charlens.training.stopping import Stopped

CHECKPOINT_SECONDS = 60
OPTION_HELP = {  # what its options set
    "epochs": "passes over the training text",
    "learning_rate": "of RMSProp; of AdamW the highest",
    "decay": "factor on the learning rate for each epoch after --decay-after",
    "decay_after": "epochs at the full learning rate",
    "smoothing": "of RMSProp's mean square",
    "epsilon": "of RMSProp or AdamW, added after the root",
    "clip": "bound on each element of the gradient",
    "warm_up": "of AdamW: epochs in which the learning rate rises",
    "final": "of AdamW: share of the learning rate that is left at the end",
    "beta1": "of AdamW's mean",
    "beta2": "of AdamW's mean square",
    "weight_decay": "of AdamW",
    "max_norm": "of AdamW: bound on the norm of the gradient",
    "init": "initial parameters are uniform in plus or minus this",
}


class Diverged(InputError):
    """A training diverged. The message names the epoch, the reason, and which settings to lower."""


class Training:
    """A training in progress: parameters, optimizer, carried state, position in the data, history.

    data: the split. dropout: the probability that an output is dropped. name: of the backend.
    Each call of `update` reads one window, each call of `end_epoch` validates. Raises InputError
    where the backend is unavailable (see `selection.choose`).
    """

    def __init__(
        self,
        arch: Architecture,
        recipe: Recipe,
        data: split.Split,
        seed: int,
        dropout: float,
        name,
    ):
        self.arch, self.recipe, self.seed, self.dropout = arch, recipe, seed, dropout
        self.unroll = data.unroll
        self.backend = selection.choose(arch, data.streams, data.unroll, name)
        self.x, self.y = inputs_and_targets(data, "train", arch)
        self.val_x, self.val_y = inputs_and_targets(data, "val", arch)
        self.windows = self.y.shape[1] // self.unroll

        initial = arrays.initialise(arch, recipe.init, seed)

        def zeros():
            return self.backend.to_backend({name: np.zeros_like(p) for name, p in initial.items()})

        self.params, self.squares, self.grads = self.backend.to_backend(initial), zeros(), zeros()
        # of the gradient, which AdamW keeps beside that of its square
        self.means = zeros() if isinstance(recipe, AdamW) else {}
        self.state = self.backend.zero_state(len(self.y))
        self.epoch, self.window = 1, 0  # of the next update
        # of this epoch's windows so far, each in nats per character; on a GPU while that computes
        self.loss_sum = 0.0
        self.seconds = 0.0  # spent on this epoch so far
        self.history = []  # one dict per finished epoch
        self.best = None  # {"epoch", "val_loss", "params"} at the lowest validation loss
        self.snapshots = []  # {"epoch", "params"} of each, see `snapshots`

    def update(self) -> None:
        """One window forward and backward, one step of the optimizer.

        Raises InputError where the cell type does not use one of its parameters.
        """
        begun = time.perf_counter()
        at = slice(self.window * self.unroll, (self.window + 1) * self.unroll)
        x, y, mask = self.x[:, at], self.y[:, at], self.mask()
        params, squares, state, grads = self.params, self.squares, self.state, self.grads
        recipe = self.recipe
        rate = recipe.rate(self.epoch, (self.window + 1) / self.windows)
        number = (self.epoch - 1) * self.windows + self.window + 1
        if isinstance(recipe, AdamW) and hasattr(self.backend, "adamw_update"):
            loss = self.backend.adamw_update(
                params, self.means, squares, x, y, state, mask, rate, number, recipe
            )
        elif isinstance(recipe, AdamW):
            from charlens.training.adamw import adamw_  # which needs torch

            loss = self.backend.loss_and_grads(params, x, y, state, mask, grads)
            adamw_(params, grads, self.means, squares, rate, number, self.unroll, recipe)
        elif hasattr(self.backend, "update"):
            loss = self.backend.update(params, squares, x, y, state, mask, rate, recipe)
        else:
            loss = self.backend.loss_and_grads(params, x, y, state, mask, grads)
            for name, p in params.items():
                rmsprop_(p, grads[name], squares[name], rate, recipe)
        self.loss_sum += loss
        self.window += 1
        self.seconds += time.perf_counter() - begun

    def mask(self) -> base.Dropout | None:
        """The dropout mask of the next window."""
        return draw_mask(
            self.arch, len(self.y), self.unroll, self.dropout, self.seed, self.epoch, self.window
        )

    def end_epoch(self, fault: str | None = None) -> dict:
        """Validate, remember the best parameters, and move on to the next epoch.

        fault: why the training is known to have diverged within the epoch, in words. Returns the
        epoch's row of the history; losses are in nats per character. Raises Diverged where there is
        a fault, or these show one (see `recipe.divergence`).
        """
        begun = time.perf_counter()
        state = self.backend.zero_state(len(self.y))
        val_loss = mean_loss(self.backend, self.params, self.val_x, self.val_y, state, self.unroll)
        row = {
            "epoch": self.epoch,
            "learning_rate": self.recipe.rate(self.epoch),
            "train_loss": float(self.loss_sum) / self.window,
            "val_loss": val_loss,
            "seconds": round(self.seconds + time.perf_counter() - begun, 3),
            "backend": self.backend.name,
        }
        fault = fault or self.fault(row)
        self.history.append(row)
        if fault:
            raise Diverged(
                f"training diverged in epoch {self.epoch}: {fault}; lower {self.recipe.LOWER}"
            )
        if self.best is None or val_loss < self.best["val_loss"]:
            best = deepcopy(self.params)
            self.best = {"epoch": self.epoch, "val_loss": val_loss, "params": best}
        self.state = self.backend.zero_state(len(self.y))
        self.epoch, self.window, self.loss_sum, self.seconds = self.epoch + 1, 0, 0.0, 0.0
        return row

    def fault(self, row: dict) -> str | None:
        """Why an epoch's losses show that the training diverged, in words; None if they do not."""
        return divergence([*self.history, row], self.arch.symbols)

    def take_snapshot(self) -> None:
        """Keep a copy of the parameters as they are now. Raises Diverged where they are not finite
        or too large for a snapshot."""
        epoch = snapshots.moment(self.epoch, self.window, self.windows)
        try:
            taken = snapshots.take(self.params)
        except InputError as error:
            self.end_epoch(str(error))
        self.snapshots.append({"epoch": epoch, "params": taken})

    def settle(self, watched: bool) -> None:
        """Where no epoch was good, take the network as it was before the first; it is the only
        snapshot then, too, where there are to be some (watched)."""
        if self.best is None:
            params = arrays.initialise(self.arch, self.recipe.init, self.seed)
            self.best = {"epoch": 0, "val_loss": math.log(self.arch.symbols), "params": params}
        if watched and not self.snapshots:
            self.snapshots.append({"epoch": 0.0, "params": snapshots.take(self.best["params"])})

    def done(self) -> float:
        """The fraction of the whole training that is done, 0 to 1."""
        return (self.epoch - 1 + self.window / self.windows) / self.recipe.epochs

    def saved_state(self) -> dict:
        """Everything that the rest of the training depends on."""
        self.loss_sum = float(self.loss_sum)
        names = ("params", "squares", "state", "epoch", "window", "loss_sum", "seconds", "history")
        names = (*names, "best", "snapshots", *(["means"] if self.means else []))
        return {name: getattr(self, name) for name in names}

    def restore(self, saved: dict) -> None:
        """Resume from a `saved_state`, whichever backend it was saved on."""
        for name, value in saved.items():
            setattr(self, name, value)
        to_backend = self.backend.to_backend
        self.params, self.squares = to_backend(self.params), to_backend(self.squares)
        self.means = to_backend(self.means)
        if self.state is not None:
            self.state = to_backend({"state": self.state})["state"]


def train(
    arch: Architecture, recipe: Recipe, data: split.Split, seed: int, dropout: float,
    directory: Path, about: dict, label: str, backend_name: str = "auto",
    schedule: snapshots.Schedule | None = None,
) -> None:  # fmt: skip
    """Train to the end and write `model.safetensors` and `history.csv` into `directory`.

    about: corpus, source and size, for the model's metadata. label: begins each progress line.
    schedule: of snapshots, which are then written to `snapshots.safetensors`.
    Resumes from a checkpoint of the same training in `directory`. A training that diverges ends
    there: the model is that of its best epoch so far and its metadata say that it failed, so that
    tables show why and everything else goes on. One that is told to stop writes a checkpoint and
    exits (SystemExit). Raises InputError where `directory` cannot be written.
    """
    one = updates(
        arch, recipe, data, seed, dropout, directory, about, label, backend_name, schedule
    )
    side_by_side.finish([one], label)


def updates(
    arch: Architecture, recipe: Recipe, data: split.Split, seed: int, dropout: float,
    directory: Path, about: dict, label: str, backend_name: str = "auto",
    schedule: snapshots.Schedule | None = None,
) -> side_by_side.Updates:  # fmt: skip
    """The same, which pauses before the first update and after each (see `side_by_side`)."""
    directory.mkdir(parents=True, exist_ok=True)
    with only_one(directory / ".lock", label, "training this model"):
        for stale in directory.glob(".tmp*"):  # left half-written by a killed process
            stale.unlink()
        made = {**asdict(arch), "version": version(arch.type), "split": split.digest(data)}
        made |= {"dropout": dropout, "seed": seed, "recipe": asdict(recipe)}
        refuse_other(directory / "model.safetensors", made)
        training = Training(arch, recipe, data, seed, dropout, backend_name)
        checkpoint = directory / "checkpoint.pt"
        identity = fingerprint(arch, recipe, data, seed, dropout, schedule)
        found = read_checkpoint(checkpoint, identity, label, training, schedule)
        if found and found["epoch"] > recipe.epochs + 1:
            say(label, f"the checkpoint is beyond epoch {recipe.epochs}: starting over")
        elif found:
            training.restore(found)
            say(label, f"resuming in epoch {training.epoch} of {recipe.epochs}")
        save = partial(write_checkpoint, checkpoint, training, identity)
        failed = {}
        yield
        try:
            yield from run_epochs(training, label, save, schedule)
        except Diverged as error:
            failed = {"failed": str(error)}
            say("charlens", f"{label}: {error}")  # which a run shows
            training.settle(watched=schedule is not None)
        write_rows(directory / "history.csv", training.history)
        ends = line_ends.of_pairs(data.alphabet, data.train.x, data.train.y)
        described = {
            **about,
            **asdict(arch),
            "version": version(arch.type),
            "parameters": count(arch),
            "dropout": dropout,
            "seed": seed,
            "epoch": training.best["epoch"],
            "val_loss": training.best["val_loss"],
            "recipe": asdict(recipe),
            "alphabet": symbols.in_hex(data.alphabet),
            "split": made["split"],
            **unicode.stated(symbols.symbols_are_of(data.alphabet)),
            **({"line_ends": ends} if ends else {}),
            **failed,
        }
        if schedule:
            snapshots.save(directory / "snapshots.safetensors", training.snapshots, described)
        model_file.save(directory / "model.safetensors", training.best["params"], described)


def refuse_other(model: Path, made: dict) -> None:
    """Raise InputError where there is a finished network that was made otherwise; one that was
    trained for more or fewer epochs may be replaced. made: how, as in a model's metadata."""
    try:
        there = model_file.about(model)
    except InputError:  # none, or a damaged one
        return
    recipes = (of.get("recipe", {}) | {"epochs": 0} for of in (there, made))
    differ = [name for name in made if name != "recipe" and there.get(name) != made[name]]
    differ += [] if next(recipes) == next(recipes) else ["recipe"]
    if differ:
        raise InputError(
            f"{model}: a network of another {', '.join(differ)} is there: name another folder, or"
            " remove it"
        )


def run_epochs(
    training: Training,
    label: str,
    save: Callable[[], None],
    schedule: snapshots.Schedule | None = None,
) -> side_by_side.Updates:
    """Train to the end of the last epoch, with progress lines and a pause after each update.

    label: begins each line. save: writes a checkpoint. schedule: of snapshots. Raises Diverged
    where the training diverges, and Stopped, after a checkpoint, where it is told to stop.
    """
    epochs = training.recipe.epochs
    begun, done_before = time.perf_counter(), training.done()
    saved = begun
    while training.epoch <= epochs:
        while training.window < training.windows:
            training.update()
            if schedule and schedule.due(training.epoch, training.window, training.windows):
                training.take_snapshot()
            if number := (yield):
                save()
                name = signal.Signals(number).name
                say(label, f"{name} in epoch {training.epoch}: checkpoint written")
                raise Stopped(number)
            if time.perf_counter() - saved > CHECKPOINT_SECONDS:
                save()
                saved = time.perf_counter()
                share = training.window / training.windows
                loss = training.loss_sum / training.window
                left = time_left(begun, done_before, training.done())
                say(label, f"epoch {training.epoch}/{epochs} {share:4.0%} train {loss:.4f} {left}")
        row = training.end_epoch()
        save()
        saved = time.perf_counter()
        rate = training.y.size / max(row["seconds"], 1e-9) / 1e3
        say(
            label,
            f"epoch {row['epoch']}/{epochs} train {row['train_loss']:.4f} val {row['val_loss']:.4f}"
            f" best {training.best['val_loss']:.4f}  {rate:.0f}k chars/s"
            f" {time_left(begun, done_before, training.done())}",
        )


# ---- command lines ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("split", type=Path, help="the corpus, split (.npz)")
    parser.add_argument("--info", type=Path, required=True, help="the corpus's provenance (.json)")
    parser.add_argument(
        "--type", required=True, help="rnn, lstm, gru, ..., lstm+block, lstm+adamw, ... or nn"
    )
    parser.add_argument("--layers", type=arguments.count, help="of recurrent units (default: 1)")
    parser.add_argument(
        "--size", type=arguments.count, help="row of table 1, whose budget gives the hidden units"
    )
    parser.add_argument("--hidden", type=arguments.count, help="hidden units, instead of --size")
    parser.add_argument("--context", type=arguments.count, help="the n of an n-NN")
    parser.add_argument(
        "--dropout",
        type=arguments.real(0),
        nargs="+",
        help="probability that an output is dropped (default: 0)",
    )
    parser.add_argument(
        "--seed", type=arguments.seed, nargs="+", default=[1], help="of initialisation and dropout"
    )
    parser.add_argument(
        "--snapshots", type=arguments.count, metavar="N", help="take N per epoch at first"
    )
    parser.add_argument(
        "--snapshot-epochs",
        type=arguments.count,
        metavar="M",
        help="for so many epochs, then one (default: 3)",
    )
    parser.add_argument(
        "--version", metavar="V", help="refuse to train where the network is of another version"
    )
    base.add_backend(parser)
    base.add_threads(parser)
    for name, default in (asdict(AdamW()) | asdict(RMSProp())).items():
        option = "--" + name.replace("_", "-")
        parser.add_argument(
            option, type=type(default), metavar=f"{default:g}", help=OPTION_HELP.get(name)
        )
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="folder of the model; several: as many"
        " networks side by side, each with its value of --seed and --dropout, or all with the same",
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    base.set_threads(args.threads)
    data = split.load(args.split)
    info = read_json(args.info)
    require(info, ("corpus", "source"), args.info)
    about = {"corpus": info["corpus"], "source": info["source"], "size": args.size}
    arch = architecture(args, data.symbols)
    now = version(args.type)
    if args.version and args.version != now:
        raise InputError(
            f"--version {args.version}: {args.type} is of version {now} now: was its file edited"
            " while the run went on? Start the run again"
        )
    recipe = from_options(recipe_of(args.type), vars(args))
    schedule = None
    if args.snapshots:
        schedule = snapshots.Schedule(args.snapshots, args.snapshot_epochs or 3)
    elif args.snapshot_epochs:
        raise InputError("--snapshot-epochs needs --snapshots")
    shape = f"{info['corpus']} {describe(arch, args.size)}"
    trainings = []
    for seed, dropout, out in networks(args):
        label = f"{shape} seed {seed}" if len(set(args.seed)) > 1 else shape
        if dropout:
            label += f" dropout {dropout:g}"
        trainings.append(
            updates(arch, recipe, data, seed, dropout, out, about, label, args.backend, schedule)
        )
    if len(trainings) == 1:
        side_by_side.finish(trainings, label)
    else:
        around = side_by_side.surroundings(args.out, args.backend)
        side_by_side.finish(trainings, f"{len(trainings)} of {shape}", around)


def networks(args: argparse.Namespace) -> list[tuple[int, float, Path]]:
    """Seed, dropout and folder of each network to train. Raises InputError where the options do not
    say them."""
    values = {"--seed": args.seed, "--dropout": args.dropout or [0.0]}
    for option, its in values.items():
        if len(its) not in (1, len(args.out)):
            raise InputError(
                f"{option}: {len(its)} values for {len(args.out)} folders in --out; give one for"
                " each, or one for all"
            )
    for dropout in values["--dropout"]:
        if not 0 <= dropout < 1:
            raise InputError(f"--dropout {dropout:g}: expected at least 0 and below 1")
    for out in args.out:
        if out.exists() and not out.is_dir():
            raise InputError(f"--out {out}: a file; name a folder")
    if len({out.resolve() for out in args.out}) < len(args.out):
        raise InputError("--out: a folder is named twice; give each network one of its own")
    spread = (its * len(args.out) if len(its) == 1 else its for its in values.values())
    return list(zip(*spread, args.out, strict=True))


def architecture(args: argparse.Namespace, symbols: int) -> Architecture:
    """The network that the options describe. Raises InputError where they contradict each other, or
    where one is not of this type; or where a cell type of the user's own is unusable.

    symbols: K, the size of the alphabet.
    """
    for option in ("layers", "size", "dropout") if args.type == "nn" else ("context",):
        if getattr(args, option) is not None:
            raise InputError(f"--{option}: leave it out: --type {args.type} has none")
    if args.type == "nn":
        if not args.context or not args.hidden:
            raise InputError("--type nn needs --context and --hidden")
        return Architecture("nn", 1, args.hidden, symbols, args.context)
    check_type(args.type)
    if (args.size is None) == (args.hidden is None):
        raise InputError(f"--type {args.type} needs one of --size and --hidden")
    if is_own(args.type):
        from charlens.networks import own_cell  # here, because it needs torch

        own_cell.check(args.type)
    layers = args.layers or 1
    hidden = args.hidden or hidden_size(args.type, layers, args.size, symbols)
    return Architecture(args.type, layers, hidden, symbols)


def describe(arch: Architecture, size: int | None) -> str:
    """A short name: lstm 2x128 (layers x size, the row of table 1), 3-nn 256 (hidden units).

    size: None if the hidden units were given instead.
    """
    if not arch.recurrent:
        return f"{arch.context}-nn {arch.hidden}"
    return f"{arch.type} {arch.layers}x{size or arch.hidden}"
