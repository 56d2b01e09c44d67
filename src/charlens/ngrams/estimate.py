"""`charlens ngram`: estimate an unpruned n-gram model with modified Kneser-Ney smoothing (table 2).

A model of order N predicts a character from the N - 1 before it: table 2 calls it the n-gram of
n = N - 1. It is estimated from the training streams of a split, joined one after the other.
"""

import json
import shutil
from pathlib import Path

from charlens.data.split import load as load_split
from charlens.errors import InputError
from charlens.files import atomic, only_one, write_atomically
from charlens.ngrams import kenlm as tools


def add_arguments(parser):
    parser.add_argument("--split", type=Path, required=True, help="the corpus's streams (npz)")
    parser.add_argument("--order", type=int, required=True, help="context length plus one")
    parser.add_argument("--kenlm", type=Path, required=True, help="folder of `charlens kenlm`")
    parser.add_argument("--memory-mb", type=int, required=True, help="memory to keep within")
    parser.add_argument("--out", type=Path, required=True, help="the model (KenLM binary)")
    parser.add_argument("--info", type=Path, required=True, help="its order and sizes (json)")


def run(args):
    fit(args.split, args.order, args.kenlm, args.memory_mb, args.out, args.info)


def fit(split, order, kenlm, memory_mb, out, info):
    """Estimate a model of the joined training streams, pack it, and note its sizes.

    Writes `out` (KenLM's probing format) and `info`: {"order", "bytes", "arpa_bytes"}, the sizes
    of the packed model and of the text form (ARPA) from which it was packed. The text form is
    deleted once it is packed; until then it and lmplz's own files take up to seven times the
    packed size, beside `out`.

    Raises InputError if KenLM is missing or was built for lower orders, and if disk space or
    memory runs out; then nothing is left behind.
    """
    highest = tools.about(kenlm)["max_order"]
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
            text.write_text(tools.sentence(data.alphabet, train) + "\n")
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
    # Kneser-Ney computes the discounts of an order from how many n-grams have counts 1 to 4. No
    # character of a large text is that rare: for unigrams lmplz must fall back on 0.5, 1 and 1.5.
    lmplz = [kenlm / "bin" / "lmplz", "-o", order, "--discount_fallback", "-S", f"{sort_mb}M"]
    lmplz += ["--vocab_estimate", 256, "-T", work / "sort", "--text", text, "--arpa", arpa]
    tools.run_tool(lmplz)
    arpa_bytes = arpa.stat().st_size
    # probing: packed in less than half the time of a trie, and read faster, for twice the size.
    # Quantising would make it smaller by changing the probabilities, which are the result here.
    # "-w after": memory first and then a plain write, so that a full disk is an error message and
    # not the bus error of a mapped file.
    tools.run_tool([kenlm / "bin" / "build_binary", "-w", "after", "probing", arpa, packed])
    arpa.unlink()
    return packed, arpa_bytes
