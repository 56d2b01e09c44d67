"""What a network holds and expects, character by character, in 8 bits a value."""

from dataclasses import dataclass

import numpy as np
import torch

from charlens.networks import network
from charlens.networks.cells import cell
from charlens.units import activations

GUESSES = 5  # likeliest next characters that are recorded
UNSCORED = 65535  # in `loss`: the model's alphabet does not have this character


@dataclass(frozen=True, eq=False)
class Recording:
    """After each of N characters (column t: once character t has been read)."""

    values: dict[str, np.ndarray]  # by name: uint8 [layers, H, N or fewer], see `quantised`
    guesses: np.ndarray  # uint8 [GUESSES or fewer, N]: codes, the likeliest first
    chances: np.ndarray  # uint16 [GUESSES or fewer, N]: their probabilities, in 65535ths
    loss: np.ndarray  # uint16 [N]: -log p of each character itself, in thousandths of a nat


def shown(type: str) -> tuple[str, ...]:
    """What is recorded of a cell type: its state (c of an LSTM, else h), then its gates."""
    states = cell(type).STATES
    gates = (name for name in activations.names(type) if name not in states)
    return (activations.memory(type), *gates)


def signed(type: str, name: str) -> bool:
    """From -1 to 1, as states and candidates g are; gates are from 0 to 1."""
    return name == "g" or name in cell(type).STATES


def quantised(values: np.ndarray, signed: bool) -> np.ndarray:
    """uint8: -1 ... 1 as 1 ... 255, 0 being 128; or 0 ... 1 as 0 ... 255. Others are clipped."""
    if signed:
        return np.rint(128 + 127 * values.clip(-1, 1)).astype(np.uint8)
    return np.rint(255 * values.clip(0, 1)).astype(np.uint8)


def record(arch, params, codes: np.ndarray, characters: int, gates: int) -> Recording:
    """Run the network over streams of codes, uint8 [S, 1 + n], each from a zero state.

    Column 0 is the character before each stream. The streams are joined and cut to `characters`;
    gates are recorded for the first `gates` of those.
    """
    S, n = codes.shape[0], codes.shape[1] - 1
    state_name, *gate_names = shown(arch.type)
    few = min(S, -(-gates // n))  # streams over which gates are recorded
    streams = {state_name: S} | dict.fromkeys(gate_names, few)
    values = {
        name: np.empty((arch.layers, arch.hidden, kept, n), np.uint8)
        for name, kept in streams.items()
    }
    most = min(GUESSES, arch.symbols)
    guesses, chances = np.empty((most, S, n), np.uint8), np.empty((most, S, n), np.uint16)
    loss = np.empty((S, n), np.uint16)

    x = torch.from_numpy(codes)
    state, output = network.zero_state(arch, S), cell(arch.type).STATES[0]

    def step(begin: int, end: int) -> tuple[dict, torch.Tensor]:
        """Activations over some columns, and log p of what comes after each, [S, T, K]."""
        found = activations.activations(arch, params, x[:, begin:end], state, {*streams, output})
        logits = found[output][-1] @ params["out.w"] + params["out.b"]
        return found, torch.log_softmax(logits, -1)

    _, expected = step(0, 1)
    for begin in range(0, n, activations.WINDOW):
        end = min(begin + activations.WINDOW, n)
        found, log_probs = step(1 + begin, 1 + end)
        for name, kept in values.items():
            part = found[name][:, : streams[name]]
            if name == state_name:
                part = activations.held(arch.type, part)
            kept[..., begin:end] = quantised(
                part.permute(0, 3, 1, 2).numpy(), signed(arch.type, name)
            )
        foreseen = torch.cat([expected, log_probs[:, :-1]], dim=1)
        own = foreseen.gather(2, x[:, 1 + begin : 1 + end].long().unsqueeze(2)).squeeze(2)
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
    )


def spread(recording: Recording, known: np.ndarray) -> Recording:
    """Spread a recording over a text of which the network read only the known characters, bool [N].

    At the others it holds and expects what it did before, and there is no loss. Before the first
    known character nothing is expected: all chances are 0.
    """
    last = np.maximum(np.cumsum(known) - 1, 0)  # of the characters read, the one read last

    def widened(array: np.ndarray) -> np.ndarray:
        reach = last[: np.searchsorted(last, array.shape[-1])]
        return np.ascontiguousarray(array[..., reach])

    loss = np.where(known, recording.loss[last], UNSCORED).astype(np.uint16)
    return Recording(
        {name: widened(values) for name, values in recording.values.items()},
        widened(recording.guesses),
        widened(recording.chances) * (np.cumsum(known) > 0).astype(np.uint16),
        loss,
    )
