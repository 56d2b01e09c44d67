"""Count-based baselines of table 2: unpruned n-grams with modified Kneser-Ney smoothing, by KenLM.

A model of order N predicts a character from the N - 1 before it: table 2 calls it the n-gram of
n = N - 1. The streams of a split are joined one after the other, both for estimating and for
scoring, and each character is one word to KenLM, written as its byte in two hexadecimal digits.
"""

import importlib.util
import json
import math
import shutil
import signal
import subprocess
import sysconfig
from pathlib import Path

import numpy as np

from charlens.data.split import load as load_split
from charlens.errors import InputError
from charlens.files import atomic, only_one, write_atomically
from charlens.store.reading import read_json, require


def add_arguments(parser):
    parser.add_argument("--split", type=Path, required=True, help="the corpus's streams (npz)")
    parser.add_argument("--order", type=int, required=True, help="context length plus one")
    parser.add_argument("--kenlm", type=Path, required=True, help="folder of `charlens kenlm`")
    parser.add_argument("--memory-mb", type=int, required=True, help="memory to keep within")
    parser.add_argument("--out", type=Path, required=True, help="the model (KenLM binary)")
    parser.add_argument("--info", type=Path, required=True, help="its order and sizes (json)")


def run(args):
    fit(args.split, args.order, args.kenlm, args.memory_mb, args.out, args.info)


def add_score_arguments(parser):
    parser.add_argument("--split", type=Path, required=True, help="the corpus's streams (npz)")
    parser.add_argument("--model", type=Path, required=True, help="the model (KenLM binary)")
    parser.add_argument("--info", type=Path, required=True, help="its order and sizes (json)")
    parser.add_argument("--kenlm", type=Path, required=True, help="folder of `charlens kenlm`")
    parser.add_argument("--corpus-info", type=Path, required=True, help="provenance (json)")
    parser.add_argument("--out", type=Path, required=True, help="log-probabilities (npy)")
    parser.add_argument("--meta", type=Path, required=True, help="what was scored (json)")


def run_score(args):
    info, corpus = read_json(args.info), read_json(args.corpus_info)
    require(info, ("order", "bytes", "arpa_bytes"), args.info)
    require(corpus, ("corpus", "source"), args.corpus_info)
    logp = score(args.split, args.model, args.kenlm)
    meta = {
        "family": "ngram",
        "corpus": corpus["corpus"],
        "source": corpus["source"],
        "n": info["order"] - 1,
        "bytes": info["bytes"],
        "arpa_bytes": info["arpa_bytes"],
    }
    with atomic(args.out) as part:
        np.save(part, logp)
    write_atomically(args.meta, json.dumps(meta).encode() + b"\n")


def fit(split, order, kenlm, memory_mb, out, info):
    """Estimate a model of the joined training streams, pack it, and note its sizes.

    Writes `out` (KenLM's probing format) and `info`: {"order", "bytes", "arpa_bytes"}, the sizes
    of the packed model and of the text form (ARPA) that it was packed from. The text form is
    deleted once it is packed; with lmplz's own files it takes up to seven times the packed size
    for a while, beside `out`.

    Raises InputError if KenLM is not there or was built for lower orders, and if disk space or
    memory run out; nothing is left behind then.
    """
    highest = about(kenlm)["max_order"]
    if not 2 <= order <= highest:
        raise InputError(f"order {order}: the KenLM in {kenlm} estimates orders 2 to {highest}")
    data = load_split(split)
    train = data.joined("train")
    work = Path(out).with_name(Path(out).name + ".tmp")
    lock = Path(out).with_name(f".{Path(out).name}.lock")
    with only_one(lock, str(out), "estimating this model"), atomic(out) as part:
        shutil.rmtree(work, ignore_errors=True)  # of a job that was killed
        try:
            work.mkdir()
            text = work / "train.txt"
            text.write_text(sentence(data.alphabet, train) + "\n")
            # lmplz fills what it is given, so give it no more than this text can use: a record is
            # `order` words and 8 bytes, and each exists a few times on the way. A quarter of the
            # memory is left for what lmplz does not count.
            useful_mb = 16 + 4 * (4 * order + 8) * train.size // 2**20
            sort_mb = min(useful_mb, memory_mb * 3 // 4)
            packed, arpa_bytes = estimate(text, order, kenlm, sort_mb, work)
            packed.replace(part)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        sizes = {"order": order, "bytes": part.stat().st_size, "arpa_bytes": arpa_bytes}
        write_atomically(info, json.dumps(sizes).encode() + b"\n")


def estimate(text, order, kenlm, sort_mb, work):
    """Estimate a model of the words in the file `text` and pack it, all in the folder `work`.

    Returns the path of the packed model and the size in bytes of its text form, which is deleted.
    Raises InputError with KenLM's own reason if a tool fails.
    """
    arpa, packed = work / "model.arpa", work / "model.binary"
    # Kneser-Ney takes the discounts of an order from how many n-grams have the counts 1 to 4. No
    # character of a large text is so rare: for unigrams, lmplz must fall back on 0.5, 1 and 1.5.
    lmplz = [kenlm / "bin" / "lmplz", "-o", order, "--discount_fallback", "-S", f"{sort_mb}M"]
    lmplz += ["--vocab_estimate", 256, "-T", work / "sort", "--text", text, "--arpa", arpa]
    run_tool(lmplz)
    arpa_bytes = arpa.stat().st_size
    # probing: packed in less than half the time of a trie, and read faster, for twice the size.
    # Quantising would make it smaller by changing the probabilities, which are the result here.
    # "-w after": memory first and then a plain write, so that a full disk is an error message and
    # not the bus error of a mapped file.
    run_tool([kenlm / "bin" / "build_binary", "-w", "after", "probing", arpa, packed])
    arpa.unlink()
    return packed, arpa_bytes


def score(split, model, kenlm):
    """Natural log-probability of every test character, float32 [N], in the test order.

    One running context over the joined test streams, with no sentence marks; it is empty at the
    start. Symbols that training never saw are one word to KenLM, <unk>: they share its
    probability equally. The probabilities of the alphabet then sum to one less what KenLM keeps
    for </s> (and for <unk>, where training saw the whole alphabet).
    """
    data = load_split(split)
    model = load(model, kenlm)
    unseen = np.array([word not in model for word in words(data.alphabet)])
    test = data.joined("test")
    scores = model.full_scores(sentence(data.alphabet, test), bos=False, eos=False)
    logp = np.array([score[0] for score in scores]) * math.log(10)
    logp[unseen[test]] -= math.log(max(unseen.sum(), 1))
    return logp.astype(np.float32)


def words(alphabet):
    """KenLM's word for each symbol of the alphabet, uint8 [K]: the byte in hexadecimal."""
    return [f"{byte:02x}" for byte in alphabet]


def sentence(alphabet, codes):
    """The codes, [N], as one line of words."""
    word = words(alphabet)
    return " ".join(word[code] for code in codes)


def load(model, kenlm):
    """A packed model, as the `kenlm` module of the folder `kenlm` (never another one) reads it.

    Raises InputError if the module is not there or does not accept the file.
    """
    about(kenlm)
    path = Path(kenlm) / "python" / f"kenlm{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not path.is_file():
        raise InputError(f"{kenlm}: KenLM was built for another Python: delete it and build again")
    spec = importlib.util.spec_from_file_location("kenlm", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        return module.Model(str(model))
    except OSError as error:
        raise InputError(f"{model}: KenLM cannot read it: {error}") from error


def about(kenlm):
    """What `charlens kenlm` noted about its build. Raises InputError if there is none."""
    path = Path(kenlm) / "kenlm.json"
    if not path.exists():
        raise InputError(f"{kenlm}: no KenLM: make it with `charlens kenlm --out`")
    found = read_json(path)
    require(found, ("version", "max_order"), path)
    return found


def run_tool(command):
    """Run one of KenLM's tools. Raises InputError with the reason that it gives."""
    command = [str(word) for word in command]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    if done.returncode == 0:
        return
    # The reason is the last line, but for build_binary's closing "ERROR".
    lines = [line.strip() for line in done.stderr.splitlines()]
    reason = [line for line in lines if line not in ("", "ERROR")][-1:]
    if done.returncode == -signal.SIGKILL:
        reason = ["killed, probably for want of memory"]
    elif "No space left" in done.stderr:
        reason.append("(free some disk space and run again)")
    raise InputError(f"{command[0]} failed: {' '.join(reason) or done.returncode}")
