"""Evidence made of constructed arrays, for which the right verdict is known."""

import dataclasses
import hashlib
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from charlens.claims.evidence import Evidence
from charlens.statistics.bootstrap import stream_draws
from charlens.store.models import ModelKey
from charlens.store.scores import Score

S, LENGTH = 40, 50
QUIET = 0.001  # nats: what a seed changes, where nothing else is said
NOTHING = {"alphabet": np.frombuffer(b"ab", np.uint8), "test_at": np.arange(S)}


def model(name, loss, noise=0.02, **meta):
    """A model whose streams have losses around `loss`; the noise is the same for every model but
    for a hundredth of it, as it is where two models read the same text."""
    shared = np.random.default_rng(1).normal(size=S)
    own = np.random.default_rng(zlib.crc32(name.encode())).normal(size=S)
    streams = loss + noise * (shared - shared.mean()) + 0.01 * noise * (own - own.mean())
    logp = -np.repeat(streams, LENGTH).astype(np.float32)
    return Score(Path(name), {"corpus": "wp", **meta}, logp)


def network(type, layers, size, loss, seed=1, **more):
    about = {"family": "recurrent", "type": type, "layers": layers, "size": size, "seed": seed}
    name = f"{type}-{layers}-{size}-{seed}"
    return model(name, loss, **about, val_loss=more.pop("val_loss", loss), **more)


def seeds(type, layers, size, loss, spread=QUIET, count=3):
    """A grid entry from several seeds, `spread` apart."""
    offsets = spread * (np.arange(count) - (count - 1) / 2)
    return [network(type, layers, size, loss + o, n + 1) for n, o in enumerate(offsets)]


def ngram(n, loss):
    return model(f"ngram-{n}", loss, family="ngram", n=n)


def nn(n, loss):
    return model(f"nn-{n}", loss, family="nn", n=n, seed=1, val_loss=loss)


def evidence(*scores, characters=None, **more):
    flat = [s for score in scores for s in (score if isinstance(score, list) else [score])]
    y = np.zeros((S, LENGTH), np.uint8) if characters is None else characters
    about = {"corpus": "wp", "title": "War", "kind": more.pop("kind", "prose")}
    split = NOTHING | {"test_y": y} | more.pop("split", {})
    e = Evidence(about, flat, split, stream_draws(S, 2000, 0), **more)
    e.everything = [e]
    return e


def history(n, hidden, val, train=None, corpus="wp"):
    """The key of an n-NN's training, and its losses epoch by epoch; training: 0.01 below."""
    val = np.array(val, dtype=float)
    train = val - 0.01 if train is None else train
    table = pd.DataFrame({"epoch": np.arange(1, len(val) + 1), "train_loss": train})
    key = ModelKey(corpus, "nn", seed=1, n=n, candidate=hidden)
    return {key: table.assign(val_loss=val)}


def planned(*networks):
    """The keys of networks: (type, layers, size) and a seed, or else 1."""
    return [ModelKey("wp", "recurrent", *network, *[1][len(network) - 3 :]) for network in networks]


def whole(findings):
    (found,) = [f for f in findings if f.part == ""]
    return found


def part(findings, name):
    (found,) = [f for f in findings if f.part == name]
    return found


def probable(name, probability, **meta):
    return Score(Path(name), {"corpus": "wp", **meta}, np.log(probability).ravel())


def lstms_and_ngram(lstm, ngram, **meta):
    """The best LSTM from two seeds, and the 20-gram, with given probabilities [S, n]."""
    about = {"family": "recurrent", "type": "lstm", "layers": 3, "size": 64, "val_loss": 1.0}
    return [
        probable("a", lstm, **about, seed=1),
        probable("b", lstm * 0.999, **(about | {"val_loss": 1.1}), seed=2),
        probable("c", ngram, family="ngram", n=20),
    ]


def named(score):
    """The same with a digest of its array, as files have it."""
    digest = hashlib.sha256(score.logp.tobytes()).hexdigest()
    return dataclasses.replace(score, meta=score.meta | {"sha256": digest})


def published(score, split=None):
    """What is left of a score on another machine."""
    split = split or NOTHING | {"test_y": np.zeros((S, LENGTH), np.uint8)}
    about = score.meta | {"digest": score.digest(split)}
    return dataclasses.replace(score, meta=about, logp=None)
