"""The plan of a study: how the text is split, which networks are trained, for how long.

From the length of the text come the streams; from the time there is, the largest networks that can
be trained for enough epochs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from charlens.errors import InputError
from charlens.networks.architecture import Architecture
from charlens.runs import cost, estimate

LEAST = 50_000  # characters: 10 streams with 500 characters of test text each
STREAM = 20_000  # characters of the text, in each stream
STREAMS = (10, 100)  # at least, at most
UNROLL = 50
FRACTIONS = (0.8, 0.1, 0.1)
TYPES = ("lstm", "gru", "rnn")
LADDER = (  # layers and sizes of the networks, the largest first
    ((1, 2, 3), (128, 256)),
    ((1, 2), (64, 128)),
    ((1, 2), (64,)),
    ((1,), (64,)),
    ((1,), (32,)),
)
EPOCHS = (5, 30)  # at least, at most
BEFORE_TURN = 0.6  # of the epochs have the full learning rate
ENOUGH = 10  # epochs: a larger network that is trained for fewer is not worth it
JOBS = 60  # that train no recurrent network: n-grams, tables, figures ...
JOB_SECONDS = 2.5  # ... of one core each
MEASURED = ((1, 32), (2, 128))  # layers and sizes whose speed is measured, of each type
MEASURE = 0.3  # seconds, of each
ORDERS = (2, 3, 4, 5, 6, 8, 10)  # of the n-grams; none sees further in a short text
HIDDEN = 64  # units of the n-NNs
CONTEXTS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Plan:
    """What is trained. seconds: estimated, for all of the study."""

    types: tuple[str, ...]
    streams: int
    layers: tuple[int, ...]
    sizes: tuple[int, ...]
    epochs: int
    seconds: float


def streams_of(length: int) -> int:
    """The number of streams for a text of so many characters. Raises InputError for too few."""
    if length < LEAST:
        raise InputError(
            f"{length:,} characters are too few to learn from and to test on: at least {LEAST:,}"
            " are needed; add files, or use charlens explore --text with a trained network"
        )
    return max(STREAMS[0], min(STREAMS[1], length // STREAM))


def n_nns(symbols: int) -> list[Architecture]:
    """The n-NNs of every study."""
    return [Architecture("nn", 1, HIDDEN, symbols, n) for n in CONTEXTS]


def rates(streams: int, symbols: int, types: Sequence[str] = TYPES) -> estimate.Rates:
    """How fast this machine trains each type of network."""
    archs = [cost.recurrent(type, *shape, symbols) for type in types for shape in MEASURED]
    measured = {}
    for arch in (*archs, n_nns(symbols)[0], n_nns(symbols)[-1]):
        training = estimate.prepare(arch, streams, UNROLL, "auto")
        measured[arch] = estimate.seconds_per_character(training, MEASURE)
    return estimate.fit(measured)


def most_epochs(parameters: int, characters: int) -> int:
    """After how many epochs a network with so many parameters has learned what it can from a
    training text of so many characters.

    At the full learning rate, the validation loss of GRUs turned up after 13 epochs where there
    were 0.34 parameters for each character (Russian, 133,000 characters), after 14 at 0.75
    (English, 56,000), and after 8 at 2.1 (English and C, 56,000) and at 7.4 (Chinese, 57,000). The
    learning rate has to fall by then: 4 to 10 epochs later, at 18 of 30, was too late, and cost
    0.02 to 0.03 nats and up to two thirds of the time.
    """
    return max(EPOCHS[0], min(EPOCHS[1], round(17 * (parameters / characters) ** -0.25)))


def plan(
    length: int, symbols: int, minutes: float, cores: int, speed: estimate.Rates,
    types: Sequence[str] = TYPES,
) -> Plan:  # fmt: skip
    """The largest networks of LADDER that can be trained for ENOUGH epochs in the time there is,
    or the smallest for as many as fit; no more epochs than the largest network can use.

    length: of the text, in characters. speed: from `rates`.
    """
    streams = streams_of(length)
    text = cost.Text(symbols, *(int(length * part) for part in FRACTIONS))
    overhead = JOBS * JOB_SECONDS / cores
    for layers, sizes in LADDER:
        archs = [cost.recurrent(t, n, s, symbols) for t in types for n in layers for s in sizes]
        archs += n_nns(symbols)
        character = sum(estimate.update_seconds(speed, arch) for arch in archs)
        epoch = cost.training(text, 1) * character / cores
        epochs = int((60 * minutes - overhead) // epoch)
        if epochs >= ENOUGH or sizes == LADDER[-1][1]:
            break
    largest = max(cost.parameters(arch) for arch in archs)
    epochs = max(EPOCHS[0], min(epochs, most_epochs(largest, text.train)))
    return Plan(tuple(types), streams, layers, sizes, epochs, overhead + epochs * epoch)


def is_largest(config: dict) -> bool:
    """Whether more time would give no larger networks than those of a `configuration`."""
    return (tuple(config["grid"]["layers"]), tuple(config["grid"]["sizes"])) == LADDER[0]


def share_of_alphabet(size: int, symbols: int) -> float:
    """The share of the parameters of a one-layer LSTM that belong to one symbol each: the rows of
    its input and the columns of its output."""
    arch = cost.recurrent("lstm", 1, size, symbols)
    whole, without = (cost.parameters(replace(arch, symbols=K)) for K in (symbols, 0))
    return 1 - without / whole


def configuration(run: str, title: str, kind: str, predict: str, path: str, chosen: Plan) -> dict:
    """The settings of the study: what differs from config.yaml. predict: bytes or characters."""
    decay_after = max(1, round(BEFORE_TURN * chosen.epochs))
    return {
        "run": run,
        "use": ["text"],
        "corpora": {
            "text": {
                "title": title,
                "kind": kind,
                "symbols": predict,
                "fractions": list(FRACTIONS),
                "sources": [{"name": title, "path": path}],
            }
        },
        "split": {"layout": "streams", "streams": chosen.streams, "unroll": UNROLL},
        "grid": {
            "types": list(chosen.types),
            "layers": list(chosen.layers),
            "sizes": list(chosen.sizes),
            "omit": [],
            "dropout": [{"values": [0.0]}],
            "seeds": [{"values": [1]}],
        },
        "training": {
            "epochs": chosen.epochs,
            "learning_rate": 0.004,
            "decay": round(0.1 ** (1 / max(1, chosen.epochs - decay_after)), 3),
            "decay_after": decay_after,
        },
        "nn": {"contexts": list(CONTEXTS), "hidden": [HIDDEN]},
        "ngrams": {"orders": list(ORDERS)},
        "contiguous_split": {"corpora": [], "orders": [ORDERS[0]], "recurrent": []},
        "reshuffles": {"corpora": [], "orders": [], "recurrent": []},
        "figures": {
            "tsne": {"perplexity": 4},
            "first_epochs": {"corpora": ["text"], "epochs": 2, "snapshots": 5},
            "emergence": {"corpora": []},
            "types": [type for type in chosen.types if type not in TYPES],
        },
        "cells": {
            "ablation": {"controls": 5, "characters": 200},
            "probes": {"characters": 20_000, "val_characters": 10_000},
            "passages": {},
        },
        "explorer": {"characters": 20_000, "gates": 4_000},
    }
