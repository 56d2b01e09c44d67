"""The states, gates and predictions of a network at each character, quantised for the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from charlens.networks import cells, network
from charlens.networks.architecture import Architecture
from charlens.networks.network import Parameters
from charlens.progress import Progress
from charlens.units import activations

GUESSES = 5  # likeliest next characters that are recorded
UNSCORED = 65535  # in `loss`: the alphabet of the model lacks this character


@dataclass(frozen=True, eq=False)
class Recording:
    """A network over N characters; column t is its state after reading character t."""

    values: dict[str, np.ndarray]  # by name: uint8 [layers, H, N or fewer], see `quantise`
    guesses: np.ndarray  # [GUESSES or fewer, N]: codes, the likeliest first
    chances: np.ndarray  # uint16 [GUESSES or fewer, N]: their probabilities, in 65535ths
    loss: np.ndarray  # uint16 [N]: -log p of each character itself, in thousandths of a nat
    # float32 [S, kept, layers, states, H]: in each stream, before the characters asked for
    states: np.ndarray | None = None
    memory: np.ndarray | None = None  # float16 [layers, H, N]: the units' memory, to score them

    def after(self, n: int) -> "Recording":
        """The recording without its first n characters."""
        values = {name: kept[..., n:] for name, kept in self.values.items()}
        memory = None if self.memory is None else self.memory[..., n:]
        guesses, chances = self.guesses[:, n:], self.chances[:, n:]
        return Recording(values, guesses, chances, self.loss[n:], self.states, memory)


def shown(type: str) -> tuple[str, ...]:
    """The quantities recorded of a cell type: its state (c of an LSTM, else h), then its gates."""
    return (cells.memory(type), *cells.gate_names(type))


def signed(type: str, name: str) -> bool:
    """Whether values lie in -1 to 1, as states and candidates g do, or in 0 to 1, as gates do."""
    return name == "g" or name in cells.unit_states(type)


def quantise(values: np.ndarray, signed: bool) -> np.ndarray:
    """Quantise an array of any shape to uint8; values outside the range are clipped.

    signed: -1 to 1 becomes 1 to 255, and 0 becomes 128; otherwise 0 to 1 becomes 0 to 255.
    """
    if signed:
        return np.rint(128 + 127 * values.clip(-1, 1)).astype(np.uint8)
    return np.rint(255 * values.clip(0, 1)).astype(np.uint8)


def record(
    arch: Architecture,
    params: Parameters,
    codes: np.ndarray,
    characters: int,
    gates: int,
    label: str = "explore",
    keep: Sequence[int] = (),
    memory: bool = False,
) -> Recording:
    """Run the network over streams of codes [S, 1 + n], each from a zero state.

    Column 0 is the character before each stream. The streams are joined and cut to `characters`;
    gates are recorded for the first `gates` of these. label: begins each progress line. keep:
    characters of each stream, in order, before which the state is kept. memory: whether the units'
    memory is kept as it is, too.
    """
    S, n = codes.shape[0], codes.shape[1] - 1
    state_name, *gate_names = shown(arch.type) if gates else shown(arch.type)[:1]
    gate_streams = min(S, -(-gates // n))  # streams over which gates are recorded
    streams = {state_name: S} | dict.fromkeys(gate_names, gate_streams)
    values = {
        name: np.empty((arch.layers, arch.hidden, kept, n), np.uint8)
        for name, kept in streams.items()
    }
    most = min(GUESSES, arch.symbols)
    guesses, chances = np.empty((most, S, n), codes.dtype), np.empty((most, S, n), np.uint16)
    loss = np.empty((S, n), np.uint16)
    raw = np.empty((arch.layers, arch.hidden, S, n), np.float16) if memory else None
    states = []

    x = torch.from_numpy(codes)
    state = network.zero_state(arch, S)

    def step(begin: int, end: int) -> tuple[dict, torch.Tensor]:
        """Activations over some columns, and log p of the next character, [S, T, K]."""
        found, logits = activations.with_logits(arch, params, x[:, begin:end], state, streams)
        return found, torch.log_softmax(logits, -1)

    _, expected = step(0, 1)
    progress = Progress(label, "recorded")
    for begin, end in pairwise(sorted({*range(0, n, activations.WINDOW), *keep, n})):
        progress.at(begin / n)
        if begin in keep:
            states.append(state.permute(2, 0, 1, 3).numpy().copy())
        found, log_probs = step(1 + begin, 1 + end)
        for name, kept in values.items():
            part = found[name][:, : streams[name]]
            if name == state_name:
                if memory:
                    raw[..., begin:end] = part.permute(0, 3, 1, 2).numpy()
                part = activations.as_shown(arch.type, part)
            kept[..., begin:end] = quantise(
                part.permute(0, 3, 1, 2).numpy(), signed(arch.type, name)
            )
        predicted = torch.cat([expected, log_probs[:, :-1]], dim=1)
        own = predicted.gather(2, x[:, 1 + begin : 1 + end].long().unsqueeze(2)).squeeze(2)
        loss[:, begin:end] = np.rint(-1000 * own.numpy()).clip(0, UNSCORED - 1)
        best, code = log_probs.topk(most, dim=-1)
        chances[..., begin:end] = np.rint(65535 * best.exp().permute(2, 0, 1).numpy())
        guesses[..., begin:end] = code.permute(2, 0, 1).numpy()
        expected = log_probs[:, -1:]

    def joined(array: np.ndarray, length: int = characters) -> np.ndarray:
        return array.reshape(*array.shape[:-2], -1)[..., :length]

    lengths = {state_name: characters} | dict.fromkeys(gate_names, min(gates, characters))
    return Recording(
        {name: joined(kept, lengths[name]) for name, kept in values.items()},
        joined(guesses),
        joined(chances),
        joined(loss),
        np.stack(states, axis=1) if states else None,
        joined(raw) if memory else None,
    )


def spread(recording: Recording, known: np.ndarray) -> Recording:
    """Spread a recording over a text of which the network read only the known characters.

    known: bool [N]. The other characters repeat the values of the last one read and have no loss.
    Before the first known character nothing is predicted: all chances are 0.
    """
    last = np.maximum(np.cumsum(known) - 1, 0)  # index among the characters read, of the last one

    def widened(array: np.ndarray) -> np.ndarray:
        reach = last[: np.searchsorted(last, array.shape[-1])]
        return np.ascontiguousarray(array[..., reach])

    loss = np.where(known, recording.loss[last], UNSCORED).astype(np.uint16)
    return Recording(
        {name: widened(values) for name, values in recording.values.items()},
        widened(recording.guesses),
        widened(recording.chances) * (np.cumsum(known) > 0).astype(np.uint16),
        loss,
        recording.states,
        None if recording.memory is None else widened(recording.memory),
    )
