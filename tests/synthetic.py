"""Small made-up corpora, splits and scores for the tests of tables and figures."""

import json

import numpy as np

STREAMS = 4
TEXT = b"".join(b'f%d(x) { if (x) { y = "}"; } /* { */ z[%d]; }\n' % (k, k * k) for k in range(200))


def write_corpus(folder, corpus="code", kind="code", text=TEXT, source="made up"):
    """Text, provenance and a split of which the last third of each stream is the test part."""
    n = len(text) // STREAMS
    codes = np.frombuffer(text[: n * STREAMS], np.uint8)
    alphabet = np.unique(np.frombuffer(text, np.uint8))
    streams = np.searchsorted(alphabet, codes).astype(np.uint8).reshape(STREAMS, n)
    first = n - n // 3
    np.savez(
        folder / f"{corpus}.npz",
        alphabet=alphabet,
        train_y=streams[:, :first],
        test_y=streams[:, first:],
        test_at=np.arange(STREAMS) * n + first,
    )
    (folder / f"{corpus}.txt").write_bytes(text)
    about = {
        "corpus": corpus,
        "title": corpus.title(),
        "kind": kind,
        "source": source,
        "bytes": len(text),
        "symbols": len(alphabet),
    }
    (folder / f"{corpus}.json").write_text(json.dumps(about))
    return streams[:, first:].size


def write_score(path, logp, **meta):
    """A score array and its metadata; meta overrides what a model of its family has."""
    trained = {"hidden": 10, "parameters": 1000, "seed": 1, "epoch": 7, "val_loss": 1.0}
    usual = {
        "recurrent": {"type": "lstm", "layers": 3, "size": 64, "dropout": 0.0, **trained},
        "nn": {"n": 3, **trained},
        "ngram": {"n": 3, "arpa_bytes": 3000},
    }[meta.setdefault("family", "recurrent")]
    about = {"corpus": "code", "source": "made up", "bytes": 2000, **usual, **meta}
    np.save(path, np.asarray(logp, dtype=np.float32))
    path.with_suffix(".json").write_text(json.dumps(about))
    return str(path)


def random_logp(size, seed, loss=1.0):
    return -np.random.default_rng(seed).gamma(0.5, 2 * loss, size)


def run(module, arguments, run="run"):
    """One verb as the command line runs it: paths and numbers as strings."""
    import argparse

    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    getattr(module, run)(parser.parse_args([str(argument) for argument in arguments]))
