"""Activations of a recurrent network: every gate and every state, character by character.

    names(type)             their names: lstm i, f, o, g, c, h; gru r, z, g, h; rnn h (without
                            states that are not one number per unit)
    activations(...)        their values over a window of text
    charlens record         their values over part of the test split, in one compressed file

The arithmetic is plain torch's (`network.forward`). A long pass in windows gives the same bits as
one in a single piece.
"""

import argparse
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from charlens import arguments
from charlens.backends import base
from charlens.data import split
from charlens.errors import InputError
from charlens.files import allocate, atomic
from charlens.networks import metadata, model_file, network
from charlens.networks.architecture import Architecture
from charlens.networks.cells import gate_names, memory, unbounded, unit_states
from charlens.networks.network import Parameters
from charlens.store.models import cell_of
from charlens.training import score
from charlens.training.recipe import RMSProp

WINDOW = 100  # characters at a time


def names(type: str) -> tuple[str, ...]:
    """Every gate and state of a cell type; its output h comes last."""
    return (*gate_names(type), *reversed(unit_states(type)))


def require_memory(type: str) -> None:
    """Raise InputError where a cell type has no state per unit for an analysis of units."""
    if memory(type) is None:
        raise InputError(
            f"type {type} has no state per unit (MEMORY in cells/{cell_of(type)}.py), so its units"
            " cannot be analysed: leave it out here"
        )


def as_shown(type: str, state: Tensor) -> Tensor:
    """A memory of any shape as it is shown (figure 2), -1 to 1: tanh(c), or h itself.

    Units are scored on the memory itself: scores are of ranks, and tanh makes ties of what is far
    from 0.
    """
    return torch.tanh(state) if unbounded(type) else state


def read_by_probes(type: str, state: Tensor) -> Tensor:
    """A memory as a linear probe reads it: as the layer passes it on. That is tanh(c) for an LSTM,
    whose output is o tanh(c), and h itself where the memory is the output."""
    return state if memory(type) == unit_states(type)[0] else as_shown(type, state)


def activations(
    arch: Architecture,
    params: Parameters,
    x: Tensor,
    state: Tensor,
    only: Iterable[str] | None = None,
) -> dict[str, Tensor]:
    """The values of every gate and state over a window, from the running state.

    x: integer codes [S, T]. state: [layers, rows, S, H], advanced to the window's end in place.
    only: the names wanted (None: all). Returns float32 [layers, S, T, H] by name: entry t is the
    value after x[:, t] has been read.
    """
    return with_logits(arch, params, x, state, only)[0]


@torch.no_grad()
def with_logits(
    arch: Architecture,
    params: Parameters,
    x: Tensor,
    state: Tensor,
    only: Iterable[str] | None = None,
) -> tuple[dict[str, Tensor], Tensor]:
    """The same, and the logits of the next character, [S, T, K]."""
    wanted = [name for name in names(arch.type) if only is None or name in only]
    S, T = x.shape
    found = {name: torch.empty(arch.layers, S, T, arch.hidden) for name in wanted}

    def record(layer: int, step: int, values: dict[str, Tensor]) -> None:
        for name in wanted:
            found[name][layer, :, step] = values[name]

    logits, after = network.forward(arch, params, x, state, record=record)
    state.copy_(after)
    return found, logits


def in_windows(arch: Architecture, params: Parameters, x: Tensor, only=None):
    """Yield (position of its first character, `activations`) for each window, from a zero state.

    x: integer codes [S, n]. only: as in `activations`.
    """
    state = network.zero_state(arch, len(x))
    for at in range(0, x.shape[1], WINDOW):
        yield at, activations(arch, params, x[:, at : at + WINDOW], state, only)


def memories(arch: Architecture, params: Parameters, x: Tensor):
    """Yield (position of its first character, the units' memory) window by window, from a zero
    state. x: integer codes [S, n]. The memory is float32 [layers, S, T, H].
    """
    require_memory(arch.type)
    name = memory(arch.type)
    for at, window in in_windows(arch, params, x, [name]):
        yield at, window[name]


def put_by_unit(values: np.ndarray, at: int, window: Tensor) -> None:
    """Put a window of memories, [layers, S, T, H], into values, float16 [layers * H, S, n], from
    position `at` on."""
    by_unit = window.permute(0, 3, 1, 2).flatten(0, 1)
    values[:, :, at : at + by_unit.shape[2]] = by_unit.half().numpy()


def fill_memories(arch: Architecture, params: Parameters, x: Tensor, values: np.ndarray) -> None:
    """Fill values, float16 [layers * H, S, n], with the units' memory over a text x, [S, n]."""
    for at, window in memories(arch, params, x):
        put_by_unit(values, at, window)


def mapped(path: Path, dtype: type, shape: tuple[int, ...]) -> np.memmap:
    """A new .npy file that is filled as an array. Raises InputError where the disk is too full."""
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    allocate(path)
    return array


def load_recurrent(path: Path, data: split.Split) -> tuple[Architecture, Parameters, dict]:
    """Architecture, parameters and metadata of a recurrent network of the split's alphabet.

    The parameters are as in `model_file.load`. Raises InputError where the file is anything else.
    """
    arch, params, about = model_file.load(path)
    if not arch.recurrent:
        raise InputError(f"{path}: an n-NN has no gates or states; name a recurrent model")
    metadata.require(about, path, metadata.IDENTITY)
    score.check_alphabet(path, about, data)
    return arch, params, about


def untrained(arch: Architecture, about: dict, seed: int) -> Parameters:
    """The parameters of a network as its training began, from another seed. about: the metadata of
    the trained one."""
    scale = about.get("recipe", {}).get("init", RMSProp().init)
    return network.initialise(arch, scale, torch.Generator().manual_seed(seed))


# ---- activations in a file ----


def record(
    path: Path, data: split.Split, streams: list[int], characters: int | None, only, out: Path
) -> None:
    """Write the activations over the first `characters` of some test streams (None: all of them).

    The .npz holds float32 [layers, streams, n, H] for each gate and state by name; x and y, the
    codes read and the codes to predict, [streams, n]; at, the offset in the text of each y[:, 0];
    alphabet; and about, JSON with the model's metadata and the streams. Only one window is held in
    memory: values stay on disk until they are compressed. Raises InputError where the network is
    not recurrent, or a gate, state or stream does not exist.
    """
    arch, params, about = load_recurrent(path, data)
    for name in only or ():
        if name not in names(arch.type):
            raise InputError(
                f"--only {name}: a cell of type {arch.type} has {', '.join(names(arch.type))}"
            )
    for stream in streams:
        if not 0 <= stream < data.streams:
            raise InputError(f"--streams {stream}: there are streams 0 to {data.streams - 1}")
    x, y = data.test.x[streams], data.test.y[streams]
    n = x.shape[1] if characters is None else min(characters, x.shape[1])
    x, y = np.ascontiguousarray(x[:, :n]), np.ascontiguousarray(y[:, :n])
    about = about | {"part": "test", "streams": streams, "characters": n}
    small = {
        "about": np.array(json.dumps(about)),
        "alphabet": data.alphabet,
        "at": data.test.at[streams],
        "x": x,
        "y": y,
    }
    wanted = [name for name in names(arch.type) if not only or name in only]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".tmp") as folder:
        files = {name: Path(folder, f"{name}.npy") for name in (*wanted, *small)}
        shape = (arch.layers, len(streams), n, arch.hidden)
        for at, window in in_windows(arch, params, torch.from_numpy(x), wanted):
            for name, values in window.items():
                # reopened for each window, so that written pages need not stay in memory
                if at:
                    stored = np.lib.format.open_memmap(files[name], "r+")
                else:
                    stored = mapped(files[name], np.float32, shape)
                stored[:, :, at : at + values.shape[2]] = values.numpy()
        for name, values in small.items():
            np.save(files[name], values, allow_pickle=False)
        with (
            atomic(out) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        ):
            for file in files.values():
                member = zipfile.ZipInfo(file.name)  # dated 1980: the same values, the same bytes
                member.compress_type = zipfile.ZIP_DEFLATED
                with (
                    open(file, "rb") as source,
                    archive.open(member, "w", force_zip64=True) as target,
                ):
                    shutil.copyfileobj(source, target, 1 << 20)
    megabytes = out.stat().st_size / 1e6
    print(f"{path}: {', '.join(wanted)} of {len(streams)} x {n:,} characters, {megabytes:.1f} MB")


# ---- command lines ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a recurrent model.safetensors")
    parser.add_argument("--split", type=Path, required=True, help="the corpus, split (.npz)")
    parser.add_argument(
        "--streams",
        type=arguments.whole(0),
        nargs="+",
        default=[0],
        help="test streams (default: 0, the first)",
    )
    parser.add_argument(
        "--characters",
        type=arguments.count,
        help="how many of each, from its beginning (default: all)",
    )
    parser.add_argument("--only", nargs="+", help="gates and states, as in i f o c (default: all)")
    base.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="the activations (.npz)")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    data = split.load(args.split)
    record(args.model, data, args.streams, args.characters, args.only, args.out)
