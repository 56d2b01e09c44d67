"""`charlens score-ngram`: score the test streams of a split with an n-gram model (table 2)."""

import argparse
import math
from pathlib import Path

import numpy as np

from charlens.data.split import Split, digest, digest_of_test, length_of_test, load
from charlens.files import check_stated
from charlens.ngrams import kenlm as tools
from charlens.store.reading import read_json, require
from charlens.store.scores import write_scores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", type=Path, required=True, help="the corpus's streams (npz)")
    parser.add_argument("--model", type=Path, required=True, help="the model (KenLM binary)")
    parser.add_argument("--info", type=Path, required=True, help="its order and sizes (json)")
    parser.add_argument("--kenlm", type=Path, required=True, help="folder of `charlens kenlm`")
    parser.add_argument("--corpus-info", type=Path, required=True, help="provenance (json)")
    parser.add_argument("--out", type=Path, required=True, help="log-probabilities (npy)")
    parser.add_argument("--meta", type=Path, required=True, help="what was scored (json)")


def run(args: argparse.Namespace) -> None:
    info, corpus = read_json(args.info), read_json(args.corpus_info)
    require(info, ("order", "bytes", "arpa_bytes"), args.info)
    require(corpus, ("corpus", "source"), args.corpus_info)
    check_stated(args.model, info.get("sha256"))
    split = load(args.split)
    logp = score(split, args.model, args.kenlm)
    meta = {
        "family": "ngram",
        "corpus": corpus["corpus"],
        "source": corpus["source"],
        "n": info["order"] - 1,
        "bytes": info["bytes"],
        "arpa_bytes": info["arpa_bytes"],
        "split": digest(split),
        "test": digest_of_test(split),
    }
    write_scores(args.out, logp, args.meta, meta | length_of_test(split))


def score(split: Split, model: str | Path, kenlm: str | Path) -> np.ndarray:
    """The log-probability of every test character in nats, float32 [N], in the order of the split.

    The context runs over the joined test streams, empty at the start, without sentence marks.
    Symbols that do not occur in training are one word to KenLM, <unk>, and share its probability
    equally. The probabilities of the alphabet sum to 1 minus KenLM's share for </s> (and for <unk>,
    if the whole alphabet occurs in training). Raises InputError if the model or KenLM is missing or
    unusable.
    """
    model = tools.load(model, kenlm)
    unseen = np.array([word not in model for word in tools.words(split.alphabet)])
    test = split.joined("test")
    scores = model.full_scores(tools.sentence(split.alphabet, test), bos=False, eos=False)
    logp = np.array([score[0] for score in scores]) * math.log(10)
    logp[unseen[test]] -= math.log(max(unseen.sum(), 1))
    return logp.astype(np.float32)
