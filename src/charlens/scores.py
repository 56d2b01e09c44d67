"""Score arrays: what every table and figure reads, whatever the model.

One .npy file per model holds the natural log-probability of every test character, in the order of
the joined test streams; the .json file beside it says which model it was.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charlens.errors import InputError

TRAINED = ("hidden", "parameters", "seed", "epoch", "val_loss", "bytes")
METADATA = {
    "recurrent": ("corpus", "source", "type", "layers", "size", "dropout", *TRAINED),
    "nn": ("corpus", "source", "n", *TRAINED),
    "ngram": ("corpus", "source", "n", "bytes", "arpa_bytes"),
}


@dataclass(frozen=True)
class Score:
    """One model's test scores: metadata and logp, float32 [N], nats (memory-mapped)."""

    path: Path
    meta: dict
    logp: np.ndarray

    @property
    def loss(self) -> float:
        """Test cross-entropy in nats per character."""
        return -float(self.logp.mean(dtype=np.float64))

    def probabilities(self, part: slice = slice(None)) -> np.ndarray:
        """The probability of every test character of the part, float64."""
        return np.exp(self.logp[part], dtype=np.float64)


def read_score(path: str | Path) -> Score:
    """Read one score array and the metadata beside it. Raises InputError if either is unusable."""
    path = Path(path)
    meta = read_json(path.with_suffix(".json"))
    family = meta.get("family")
    if family not in METADATA:
        raise InputError(
            f"{path.with_suffix('.json')}: family is {family!r}, not one of {', '.join(METADATA)}; "
            "score the model again"
        )
    require(meta, METADATA[family], path.with_suffix(".json"))
    try:
        logp = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: no readable score array ({reason(error)})") from None
    if logp.ndim != 1 or not logp.size or not np.issubdtype(logp.dtype, np.floating):
        raise InputError(
            f"{path}: scores are {logp.dtype} of shape {logp.shape}, not one float per test "
            "character; score the model again"
        )
    bad = np.flatnonzero(~np.isfinite(logp))
    if bad.size:
        raise InputError(
            f"{path}: score {logp[bad[0]]} at test position {bad[0]} is not a finite "
            f"log-probability ({bad.size} such); train or score this model again"
        )
    return Score(path, meta, logp)


def read_scores(paths: Iterable[str | Path], *families: str) -> list[Score]:
    """Read the scores of the models of these families, in the order given."""
    scores = [read_score(path) for path in paths]
    return [score for score in scores if score.meta["family"] in families]


def read_corpora(paths: Iterable[str | Path]) -> dict[str, dict]:
    """Read corpora's provenance files; the result is keyed by corpus, in the order given."""
    corpora = {}
    for path in paths:
        corpus = read_json(Path(path))
        require(corpus, ("corpus", "title", "kind", "source", "bytes", "symbols"), path)
        corpora[corpus["corpus"]] = corpus
    return corpora


def by_corpus(
    scores: Iterable[Score], corpora: dict[str, dict], what: str
) -> dict[str, list[Score]]:
    """Group scores by corpus, in the corpora's order, and check that they can be compared.

    Raises InputError where a corpus has no score, a score no corpus, or lengths differ.
    """
    groups: dict[str, list[Score]] = {corpus: [] for corpus in corpora}
    for score in scores:
        corpus = score.meta["corpus"]
        if corpus not in groups:
            raise InputError(f"{score.path}: its corpus {corpus!r} is not among those given")
        group = groups[corpus]
        group.append(score)
        if score.logp.size != group[0].logp.size:
            raise InputError(
                f"{score.path}: {score.logp.size} scores, but {group[0].path} has "
                f"{group[0].logp.size}: not the same test text; score both again"
            )
    for corpus, group in groups.items():
        if not group:
            raise InputError(f"corpus {corpus}: no {what} among the scores given")
    return groups


def types_in_order(types: Iterable[str]) -> list[str]:
    """The types that occur: the paper's in its order, then any others by name."""
    paper = ["lstm", "rnn", "gru"]
    return sorted(set(types), key=lambda t: (paper.index(t) if t in paper else len(paper), t))


def best_lstm(scores: Iterable[Score]) -> Score:
    """The LSTM with the lowest validation loss among those with 3 layers (or else the deepest)."""
    lstms = [score for score in scores if score.meta.get("type") == "lstm"]
    if not lstms:
        raise InputError("this figure compares an LSTM with n-grams: no LSTM among the scores")
    depths = {score.meta["layers"] for score in lstms}
    depth = 3 if 3 in depths else max(depths)
    return min(
        (score for score in lstms if score.meta["layers"] == depth),
        key=lambda score: score.meta["val_loss"],
    )


def ngrams_by_n(scores: Iterable[Score]) -> dict[int, Score]:
    """The n-gram models by context length n, shortest first."""
    ngrams = {score.meta["n"]: score for score in scores if score.meta["family"] == "ngram"}
    if not ngrams:
        raise InputError("this figure compares an LSTM with n-grams: no n-gram among the scores")
    return dict(sorted(ngrams.items()))


def read_split(path: str | Path, scores: Iterable[Score]) -> dict[str, np.ndarray]:
    """Read what figures need of a split: alphabet [K], test_y [S, n_test], test_at [S].

    Raises InputError if the file is unusable or the scores are not of its test characters.
    """
    try:
        with np.load(path) as arrays:
            split = {name: arrays[name] for name in ("alphabet", "test_y", "test_at")}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"{path}: no readable split ({reason(error)})") from None
    for score in scores:
        if score.logp.size != split["test_y"].size:
            raise InputError(
                f"{score.path}: {score.logp.size} scores, but {path} has {split['test_y'].size} "
                "test characters; score the model on this split"
            )
    return split


def by_stem(paths: Iterable[str | Path], needed: Iterable[str], what: str) -> dict[str, Path]:
    """Key files that are named after their corpus; every needed corpus must have one."""
    files = {Path(path).stem: Path(path) for path in paths}
    for corpus in needed:
        if corpus not in files:
            raise InputError(f"corpus {corpus}: no {what} given (a file named {corpus}.*)")
    return files


def read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing: it says what the file beside it is") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no readable JSON ({reason(error)})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a JSON {type(content).__name__}, not an object")
    return content


def require(content: dict, keys: Iterable[str], path: str | Path) -> None:
    missing = [key for key in keys if key not in content]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; make it again")


def reason(error: Exception) -> str:
    """An exception's message on one line, without the path that our own message names already."""
    return getattr(error, "strerror", None) or " ".join(str(error).split())
