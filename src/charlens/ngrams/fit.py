"""`charlens ngram`: fit an unpruned n-gram model with modified Kneser-Ney smoothing (table 2).

A model of order n + 1 predicts a character from the n before it; table 2 calls it the n-gram. It
is fitted to the training streams of a split, joined one after the other.
"""

import argparse
import json
import shutil
from pathlib import Path

from charlens import arguments
from charlens.data.split import load as load_split
from charlens.errors import InputError
from charlens.files import atomic, only_one, sha256, write_with_digest
from charlens.ngrams import kenlm as tools


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", type=Path, required=True, help="the corpus's streams (npz)")
    parser.add_argument(
        "--order", type=arguments.whole(2), required=True, help="context length plus one"
    )
    parser.add_argument("--kenlm", type=Path, required=True, help="folder of `charlens kenlm`")
    parser.add_argument(
        "--memory-mb", type=arguments.count, required=True, help="memory to keep within"
    )
    parser.add_argument("--out", type=Path, required=True, help="the model (KenLM binary)")
    parser.add_argument("--info", type=Path, required=True, help="its order and sizes (json)")


def run(args: argparse.Namespace) -> None:
    fit(args.split, args.order, args.kenlm, args.memory_mb, args.out, args.info)


def fit(
    split: str | Path,
    order: int,
    kenlm: Path,
    memory_mb: int,
    out: str | Path,
    info: str | Path,
) -> None:
    """Estimate a model of the joined training streams, pack it, and record its sizes (table 2).

    Writes `out` (KenLM's probing format) and `info`: {"order", "bytes", "arpa_bytes", "sha256"}:
    bytes of the packed model and of the ARPA file from which it was packed, and the digest of the
    packed one. The ARPA file is deleted once it is packed; until then it and the temporary files of
    lmplz take up to seven times the packed size, beside `out`.

    Raises InputError if KenLM is missing or was built for lower orders, and if disk space or
    memory runs out; nothing is left behind then.
    """
    highest = tools.about(kenlm)["max_order"]
    if not 2 <= order <= highest:
        raise InputError(f"order {order}: the KenLM in {kenlm} estimates orders 2 to {highest}")
    data = load_split(split)
    train = data.joined("train")
    work = Path(out).with_name(Path(out).name + ".tmp")
    lock = Path(out).with_name(f".{Path(out).name}.lock")
    with only_one(lock, str(out), "estimating this model"), atomic(out) as part:
        shutil.rmtree(work, ignore_errors=True)  # left by a job that was killed
        try:
            work.mkdir()
            text = work / "train.txt"
            text.write_text(tools.sentence(data.alphabet, train) + "\n")
            # lmplz uses all the memory that it is given, so give it no more than this text needs: a
            # record is `order` words and 8 bytes, and several copies exist at a time. A quarter of
            # the memory is left for what lmplz does not count.
            useful_mb = 16 + 4 * (4 * order + 8) * train.size // 2**20
            sort_mb = min(useful_mb, memory_mb * 3 // 4)
            packed, arpa_bytes = estimate(text, order, kenlm, sort_mb, work)
            packed.replace(part)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        about = {"order": order, "bytes": part.stat().st_size, "arpa_bytes": arpa_bytes}
        about |= {"sha256": sha256(part)}
        write_with_digest(info, json.dumps(about).encode() + b"\n")


def estimate(text: Path, order: int, kenlm: Path, sort_mb: int, work: Path) -> tuple[Path, int]:
    """Estimate a model of the words in the file `text` and pack it, all in the folder `work`.

    Returns the path of the packed model and the size of its ARPA file, which is deleted, in bytes.
    Raises InputError with KenLM's reason if a tool fails.
    """
    arpa, packed = work / "model.arpa", work / "model.binary"
    # Kneser-Ney computes the discounts of an order from the numbers of n-grams with counts 1 to 4.
    # No character of a large text is that rare: for unigrams lmplz falls back on 0.5, 1 and 1.5.
    lmplz = [kenlm / "bin" / "lmplz", "-o", order, "--discount_fallback", "-S", f"{sort_mb}M"]
    lmplz += ["--vocab_estimate", 256, "-T", work / "sort", "--text", text, "--arpa", arpa]
    tools.run_tool(lmplz)
    arpa_bytes = arpa.stat().st_size
    # probing: packed in less than half the time of a trie, and read faster, at twice the size.
    # Quantising would change the probabilities, which are the result here. "-w after" builds in
    # memory and then writes, so that a full disk causes an error message and not a bus error.
    tools.run_tool([kenlm / "bin" / "build_binary", "-w", "after", "probing", arpa, packed])
    arpa.unlink()
    return packed, arpa_bytes
