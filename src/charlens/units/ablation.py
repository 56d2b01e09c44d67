"""`charlens ablate`: does a network use the units that follow the text?

A unit that follows a hypothesis may be a cause of the predictions or a bystander. Here the unit
found for each hypothesis is clamped: after every update its state is set to a constant, first to
its own mean over the test split, then to zero. So neither the recurrence nor the output learns
anything from it. The whole test split is read again, and the changes (clamped minus unclamped) of
two numbers are reported, with 95% intervals over test streams:

    loss    the mean loss, nats per character
    own     the mean probability of the characters that the hypothesis is about
            (`text.own_characters`), where they are correct

The state is the unit's memory: c of an LSTM, h of an RNN or a GRU (see `networks.cells`).

Clamping any unit changes something. So the same is done to control units: those of the same layer
whose states have the nearest variances, without the units found for any hypothesis and without
others that follow this one with a strength of 0.5 or more. A unit is used if it changes the
probability of its own characters, up or down, more than every control does, and the interval of
that change excludes 0. The intervals cover the test text alone, not other networks.

Many clamped copies of the network read the text side by side, as further streams of one batch. What
lies below the clamped layer is the same in all copies, and computed once.
"""

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from charlens import arguments
from charlens.backends import base
from charlens.errors import InputError
from charlens.files import write_csv
from charlens.networks import model_file, network
from charlens.networks.architecture import Architecture, state_rows
from charlens.networks.cells import cell, memory
from charlens.networks.network import Parameters, Recorder
from charlens.progress import say, time_left
from charlens.statistics.bootstrap import interval, stream_draws
from charlens.store.reading import read_json, require
from charlens.store.tables import read_table
from charlens.text.hypotheses import HYPOTHESES
from charlens.training.train import describe
from charlens.units import selectivity
from charlens.units.activations import in_windows, load_recurrent, require_memory
from charlens.units.labels import own_in_test, read_corpus

CLAMPS = ("mean", "zero")
COLUMNS = [
    "corpus", "model", "layer", "unit", "hypothesis", "clamp", "loss", "low", "high",
    "own", "own_low", "own_high", "controls", "used",
]  # fmt: skip
# of the unit found for a hypothesis (found = 1) and of its controls; others: the change of the mean
# probability of all other characters
EFFECTS = ["corpus", "model", "hypothesis", "clamp", "layer", "unit", "found", "own", "others"]
FOUND = ["corpus", "model", "hypothesis", "layer", "unit"]
STATES = 1.5e9  # bytes of the states of networks that read the text side by side
ROWS = 1600  # streams of all copies in a batch
STEPS = 2  # characters at a time: few, so that a batch stays in the cache


@dataclass(frozen=True)
class Variant:
    """A network with one unit clamped; layer and unit count from 0."""

    layer: int
    unit: int
    clamp: str


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over each of S streams, for V networks and Y sets of characters, float64."""

    loss: Tensor  # [V, S], nats
    probability: Tensor  # [V, S], of the correct characters
    own: Tensor  # [V, S, Y], the same over each set

    def add(self, networks: list[int], logits: Tensor, y: Tensor, own: Tensor) -> None:
        """Add a window of T characters: logits of some networks [T, len(networks), S, K], the
        correct characters y [S, T], and where they belong to a set, [Y, S, T]."""
        target = y.long().t()[:, None, :, None].expand(-1, len(networks), -1, 1)
        log_p = torch.log_softmax(logits, -1).gather(3, target).squeeze(3).double()
        self.loss[networks] -= log_p.sum(dim=0)
        self.probability[networks] += log_p.exp().sum(dim=0)
        self.own[networks] += torch.einsum("tvs,yst->vsy", log_p.exp(), own.double())


@dataclass(frozen=True, eq=False)
class Batch:
    """Networks that read the text side by side, each with a unit of the same layer clamped."""

    variants: list[int]  # their indices
    layer: int
    above: Architecture  # this layer and those above it
    params: Parameters
    clamp: Recorder

    def zero_state(self, streams: int) -> Tensor:
        """The state of all its networks before the text, of so many streams each."""
        return network.zero_state(self.above, len(self.variants) * streams)


# ---- the pass over the text ----


def clamp(type: str, units: Tensor, values: Tensor) -> Recorder:
    """A recorder for `network.stack` that clamps a unit of the first layer in each of V networks.

    units, values: [V], the unit and the value of its memory. The networks' streams follow each
    other: [V * S, H].
    """
    kind, networks = cell(type), torch.arange(len(units))
    output, state = kind.STATES[0], memory(type)

    def of_units(tensor: Tensor) -> Tensor:
        return tensor.unflatten(0, (len(units), -1))[networks, :, units]  # [V, S]

    def with_units(tensor: Tensor, new: Tensor) -> Tensor:
        copy = tensor.clone()  # the old one may be a state of the step before
        copy.unflatten(0, (len(units), -1))[networks, :, units] = new
        return copy

    def record(layer: int, step: int, found: dict[str, Tensor]) -> None:
        if layer:
            return
        old = of_units(found[state])
        new = values[:, None].expand_as(old)
        found[state] = with_units(found[state], new)
        if output != state and hasattr(kind, "output"):
            gates = [of_units(found[name]) for name in kind.GATE_NAMES]
            found[output] = with_units(found[output], kind.output(gates, new))

    return record


def from_layer(arch: Architecture, params: Parameters, layer: int):
    """The layers from this one on, and the classifier, as a network: architecture and parameters.

    Its input is the output of the layer below (of the first layer, the text).
    """
    kept = {name: value for name, value in params.items() if not name.startswith("layers.")}
    for above in range(layer, arch.layers):
        prefix = f"layers.{above}."
        for name, value in params.items():
            if name.startswith(prefix):
                kept[f"layers.{above - layer}.{name.removeprefix(prefix)}"] = value
    return replace(arch, layers=arch.layers - layer), kept


@torch.no_grad()
def moments(arch: Architecture, params: Parameters, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of the memory of each unit over a text x, [S, n]: float64 [layers, H]."""
    name = memory(arch.type)
    total, squares = torch.zeros(2, arch.layers, arch.hidden, dtype=torch.float64)
    for _, window in in_windows(arch, params, x, [name]):
        values = window[name].double()
        total += values.sum(dim=(1, 2))
        squares += (values**2).sum(dim=(1, 2))
    mean = total / x.numel()
    return mean, (squares / x.numel() - mean**2).clamp(min=0)


def batches(
    arch: Architecture, params: Parameters, variants: list[Variant], values: list[float], S: int
) -> list[Batch]:
    """The variants in batches of about ROWS streams. values: what each sets its unit to. S: the
    number of streams."""
    found, across = [], max(1, ROWS // S)
    for layer in sorted({variant.layer for variant in variants}):
        above, kept = from_layer(arch, params, layer)
        indices = [k for k, variant in enumerate(variants) if variant.layer == layer]
        for begin in range(0, len(indices), across):
            some = indices[begin : begin + across]
            units = torch.tensor([variants[k].unit for k in some])
            held = torch.tensor([values[k] for k in some], dtype=torch.float32)
            found.append(Batch(some, layer, above, kept, clamp(arch.type, units, held)))
    return found


def groups(together: list[Batch], streams: int) -> list[list[Batch]]:
    """The batches that read the text side by side: as many as have states of STATES bytes."""
    found: list[list[Batch]] = [[]]
    taken = 0
    for batch in together:
        size = 4 * len(batch.variants) * streams * batch.above.layers * batch.above.hidden
        size *= sum(state_rows(batch.above))
        if found[-1] and taken + size > STATES:
            found.append([])
            taken = 0
        found[-1].append(batch)
        taken += size
    return found


@torch.no_grad()
def clamped_sums(
    arch: Architecture,
    params: Parameters,
    x: Tensor,
    y: Tensor,
    own: Tensor,
    variants: list[Variant],
    values: list[float],
    label: str,
) -> Sums:
    """Sums of the unclamped network, which comes first, and of each variant, on the same text.

    x, y: codes [S, n], read and to predict; each stream starts from a zero state. own: bool
    [Y, S, n], sets of the characters in y. values: what each variant sets its unit's memory to.
    Variants whose states are larger than STATES together read the text one group after another.
    label: of progress lines.
    """
    S = len(x)
    shape = (1 + len(variants), S)
    sums = Sums(*(torch.zeros(*shape, *of, dtype=torch.float64) for of in ((), (), (len(own),))))
    every = groups(batches(arch, params, variants, values, S), S)
    for place, together in enumerate(every, start=1):
        part = f" {place}/{len(every)}" if len(every) > 1 else ""
        add_group(arch, params, (x, y, own), together, sums, place == 1, f"{label}{part}")
    return sums


def add_group(
    arch: Architecture,
    params: Parameters,
    text: tuple[Tensor, Tensor, Tensor],
    together: list[Batch],
    sums: Sums,
    unclamped: bool,
    label: str,
) -> None:
    """Read the text once with some batches, and add to their sums; to those of the unclamped
    network too, if so told. text: x, y, own, as in `clamped_sums`."""
    x, y, own = text
    S, n = x.shape
    state = network.zero_state(arch, S)
    states = [batch.zero_state(S) for batch in together]
    started = said = time.perf_counter()
    for begin in range(0, n, STEPS):
        piece = slice(begin, begin + STEPS)
        window = x[:, piece], y[:, piece], own[:, :, piece]
        below = [params[network.looked_up(arch)][window[0].long().t()]]  # what enters each layer
        logits, after = network.stack(arch, params, below[0], state, record=ignore, outputs=below)
        state.copy_(after)
        if unclamped:
            sums.add([0], logits[:, None], *window[1:])
        for batch, held in zip(together, states, strict=True):
            copies, entering = len(batch.variants), below[batch.layer]
            if batch.layer:
                entering = network.entering(batch.above, batch.params, entering)
            entering = entering[:, None].expand(-1, copies, -1, -1).flatten(1, 2)
            logits, after = network.stack(
                batch.above, batch.params, entering, held, record=batch.clamp
            )
            held.copy_(after)
            networks = [1 + k for k in batch.variants]
            sums.add(networks, logits.unflatten(1, (copies, S)), *window[1:])
        if time.perf_counter() - said > 30:
            said, done = time.perf_counter(), min(1.0, (begin + STEPS) / n)
            say(label, f"{done:.0%} of the text, {time_left(started, 0, done)}")


def ignore(layer: int, step: int, values: dict[str, Tensor]) -> None:
    """A recorder that records nothing: the network goes step by step, as it does when clamped."""


# ---- what is clamped ----


def nearest(variance: np.ndarray, unit: int, excluded: Iterable[int], count: int) -> list[int]:
    """The `count` units of a layer (or as many as there are) with the variances [H] nearest to a
    unit's, without the excluded ones."""
    free = np.setdiff1d(np.arange(len(variance)), [unit, *excluded])
    order = np.abs(variance[free] - variance[unit]).argsort(kind="stable")
    return [int(u) for u in free[order[:count]]]


def found_units(path: Path, arch: Architecture, about: dict) -> dict[str, tuple[int, int]]:
    """The unit found for each hypothesis, (layer, unit) from 0, from a table of the best units.

    Raises InputError where the table is unusable or about other networks.
    """
    table = read_table(path, FOUND)
    table = table[(table["corpus"] == about["corpus"])]
    name = describe(arch, about.get("size"))
    if others := sorted(set(table["model"]) - {name}):
        raise InputError(f"{path}: has units of {', '.join(others)}, not of {name}: rerun cells")
    table = table.dropna(subset=["layer", "unit"])
    units = {row.hypothesis: (int(row.layer) - 1, int(row.unit) - 1) for row in table.itertuples()}
    known = [hypothesis.name for hypothesis in HYPOTHESES]
    for hypothesis, (layer, unit) in units.items():
        if hypothesis not in known:
            raise InputError(f"{path}: no hypothesis '{hypothesis}'; expected {', '.join(known)}")
        if not (0 <= layer < arch.layers and 0 <= unit < arch.hidden):
            raise InputError(f"{path}: {name} has no unit {unit + 1} in layer {layer + 1}")
    return units


def followers(
    path: Path, units: dict[str, tuple[int, int]], about: dict
) -> dict[str, set[tuple[int, int]]]:
    """By hypothesis the units that follow it, too, (layer, unit) from 0, from a table of the scores
    of all units. units: those that were found. Raises InputError where the table lacks these."""
    table = read_table(path, [*FOUND, "score"])
    table = table[table["corpus"] == about["corpus"]]
    yes_no = {hypothesis.name: hypothesis.yes_no for hypothesis in HYPOTHESES}
    following = {}
    for name, (layer, unit) in units.items():
        own = table[table["hypothesis"] == name]
        places = list(zip(own["layer"] - 1, own["unit"] - 1, strict=True))
        if (layer, unit) not in places:
            raise InputError(
                f"{path}: no score on {name} of unit {unit + 1} in layer {layer + 1}: rerun cells"
            )
        strengths = selectivity.strength(own["score"].to_numpy(float), yes_no[name])
        strong = strengths >= selectivity.EXPLAINED
        following[name] = {place for place, so in zip(places, strong, strict=True) if so}
    return following


# ---- effects ----


@dataclass(frozen=True, eq=False)
class Changes:
    """Changes that V clamps make to means over the text (clamped minus unclamped)."""

    loss: np.ndarray  # [V, S], of each stream's summed loss
    own: np.ndarray  # [V, S, Y], of its summed probability of the characters of each set
    probability: np.ndarray  # [V, S], the same over all characters
    counts: np.ndarray  # [S, Y], characters of each set
    characters: int  # of each stream
    draws: np.ndarray  # [R, S], see `stream_draws`

    def of_loss(self, v: int) -> tuple[float, float, float]:
        """Change of the mean loss and its interval, nats per character."""
        diff = self.loss[v]
        drawn = self.draws @ diff / (self.draws.sum(axis=1) * self.characters)
        return diff.sum() / (len(diff) * self.characters), *interval(drawn)

    def of_own(self, v: int, y: int) -> tuple[float, float, float]:
        """Change of the mean probability of a set and its interval; nan where the set is empty, and
        no interval where only a stream or two have characters of it."""
        diff, counts = self.own[v, :, y], self.counts[:, y]
        if not counts.any():
            return (np.nan,) * 3
        if np.count_nonzero(counts) < selectivity.STREAMS:
            return diff.sum() / counts.sum(), np.nan, np.nan
        with np.errstate(invalid="ignore"):
            drawn = self.draws @ diff / (self.draws @ counts)
        return diff.sum() / counts.sum(), *interval(drawn[~np.isnan(drawn)])

    def of_others(self, v: int, y: int) -> float:
        """Change of the mean probability of all characters outside of a set."""
        rest = self.characters * len(self.counts) - self.counts[:, y].sum()
        return (self.probability[v] - self.own[v, :, y]).sum() / rest if rest else np.nan


def used(own: tuple[float, float, float], controls: np.ndarray) -> bool:
    """Whether a change of the own characters' probability is larger than those of all controls,
    [C], up or down, and its interval excludes 0. Without a control or an interval it is not."""
    change, low, high = own
    beyond = len(controls) and np.all(abs(change) > np.abs(controls))
    return bool(beyond and low * high > 0)


def tables(
    units: dict[str, tuple[int, int]],
    controls: dict[str, list[int]],
    variants: list[Variant],
    changes: Changes,
    about: dict,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The effects of clamping the found units, columns COLUMNS, and beside those of their controls,
    columns EFFECTS. Layers and units count from 1. about: columns that are the same in all rows."""
    place = {variant: v for v, variant in enumerate(variants)}
    rows, effects = [], []
    for y, (hypothesis, (layer, unit)) in enumerate(units.items()):
        for clamp in CLAMPS:
            shared = about | {"hypothesis": hypothesis, "clamp": clamp, "layer": layer + 1}
            beside = []
            for which in (unit, *controls[hypothesis]):
                v = place[Variant(layer, which, clamp)]
                own, others = changes.of_own(v, y), changes.of_others(v, y)
                beside.append(own[0])
                found = {"unit": which + 1, "found": int(which == unit)}
                effects.append(shared | found | {"own": own[0], "others": others})
            v = place[Variant(layer, unit, clamp)]
            own, loss = changes.of_own(v, y), changes.of_loss(v)
            rows.append(
                shared
                | {"unit": unit + 1}
                | dict(zip(("loss", "low", "high"), loss, strict=True))
                | dict(zip(("own", "own_low", "own_high"), own, strict=True))
                | {"controls": len(beside) - 1, "used": int(used(own, np.array(beside[1:])))}
            )
    return pd.DataFrame(rows, columns=COLUMNS), pd.DataFrame(effects, columns=EFFECTS)


def ablate(
    arch: Architecture,
    params: Parameters,
    x: Tensor,
    y: Tensor,
    own: Tensor,
    units: dict[str, tuple[int, int]],
    following: dict[str, set[tuple[int, int]]],
    count: int,
    samples: int,
    seed: int,
    about: dict,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Clamp the unit found for each of Y hypotheses and its controls; returns `tables`.

    x, y: test codes [S, n], read and to predict. own: bool [Y, S, n], see `own_in_test`. units:
    (layer, unit) by hypothesis. following: see `followers`. count: controls of each unit. samples,
    seed: of the bootstrap over streams. about: corpus and model.
    """
    mean, variance = moments(arch, params, x)
    found = set(units.values())
    controls = {}
    for name, (layer, unit) in units.items():
        excluded = [u for at, u in found | following[name] if at == layer]
        controls[name] = nearest(variance[layer].numpy(), unit, excluded, count)
    wanted = found | {(units[name][0], u) for name, others in controls.items() for u in others}
    variants = [Variant(layer, unit, clamp) for layer, unit in sorted(wanted) for clamp in CLAMPS]
    values = [mean[v.layer, v.unit].item() if v.clamp == "mean" else 0.0 for v in variants]
    label = f"{about['corpus']} {about['model']}"
    say(label, f"{len(found)} found units and {len(wanted) - len(found)} controls, clamped twice")
    sums = clamped_sums(arch, params, x, y, own, variants, values, label)
    changes = Changes(
        *((of[1:] - of[0]).numpy() for of in (sums.loss, sums.own, sums.probability)),
        own.sum(dim=2).t().numpy(),
        x.shape[1],
        stream_draws(len(x), samples, seed),
    )
    return tables(units, controls, variants, changes, about)


# ---- command lines ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models", type=Path, nargs="+", help="a recurrent network; of several, the best LSTM"
    )
    parser.add_argument("--split", type=Path, required=True, help="the corpus, split (.npz)")
    parser.add_argument("--text", type=Path, required=True, help="the corpus (.txt)")
    parser.add_argument("--info", type=Path, required=True, help="its provenance (.json)")
    parser.add_argument(
        "--hypotheses", type=Path, required=True, help="the unit found for each (hypotheses.csv)"
    )
    parser.add_argument(
        "--units", type=Path, required=True, help="the scores of all units (cells.csv)"
    )
    parser.add_argument("--controls", type=arguments.count, default=50, help="of each unit (50)")
    parser.add_argument("--characters", type=arguments.count, help="of each stream (default: all)")
    parser.add_argument("--samples", type=arguments.resamples, default=1000, help="of the streams")
    parser.add_argument("--seed", type=arguments.seed, default=0, help="of the bootstrap")
    base.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="effects of found units (.csv)")
    parser.add_argument("--effects", type=Path, required=True, help="and of their controls (.csv)")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    info = read_json(args.info)
    require(info, ["kind"], args.info)
    data, text = read_corpus(args.split, args.text, args.info)
    arch, params, about = load_recurrent(model_file.best_for_units(args.models), data)
    require_memory(arch.type)
    units = found_units(args.hypotheses, arch, about)
    n = min(args.characters or data.test.x.shape[1], data.test.x.shape[1])
    own = own_in_test(data, text, info["kind"], units, n)
    x, y = (torch.from_numpy(codes[:, :n]) for codes in (data.test.x, data.test.y))
    named = {"corpus": about["corpus"], "model": describe(arch, about.get("size"))}
    table, effects = ablate(
        arch, params, x, y, own, units, followers(args.units, units, about), args.controls,
        args.samples, args.seed, named,
    )  # fmt: skip
    write_csv(table, args.out)
    # by the last columns `charlens publish` knows whether the settings have changed since
    asked = {"wanted": args.controls, "characters": args.characters or 0}
    write_csv(effects.assign(**asked, samples=args.samples, seed=args.seed), args.effects)
    for row in table.itertuples():
        print(
            f"{row.corpus} {row.model} {row.hypothesis}: {row.layer}.{row.unit} to {row.clamp}:"
            f" loss {row.loss:+.4f}, own {row.own:+.4f} ({row.own_low:+.4f} to {row.own_high:+.4f})"
            f"{', used' if row.used else ''}"
        )
