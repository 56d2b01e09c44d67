"""Score arrays, the input of every table and figure, whatever the model.

One .npy file per model holds the log-probability of every test character in nats, in the order of
the joined test streams; the .json file beside it describes the model. Of a corpus that is read as
characters it also says how many bytes of UTF-8 a test character has on average: a loss in nats
per character, divided by that, is one in nats per byte, which compares with losses on bytes.

A model that was trained and published on another machine has the .json file alone. It then holds a
digest of the scores, which is enough for tables, claims about losses, and figure 1:

    characters, loss, sd    number of test characters; test loss and its standard deviation, nats
    streams                 the loss of each test stream, [S], nats
    symbols                 the mean probability of each symbol where it is correct, [K]
    sketch                  the probabilities of the test characters, folded: see `Score.sketch`
"""

import base64
import binascii
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charlens.errors import InputError
from charlens.files import atomic, check_stated, damaged, sha256, write_with_digest
from charlens.store.models import ModelKey, best, type_name
from charlens.store.reading import read_json, reason, require

TRAINED = ("hidden", "parameters", "seed", "epoch", "val_loss", "bytes")
METADATA = {
    "recurrent": ("corpus", "source", "type", "layers", "size", "dropout", *TRAINED),
    "nn": ("corpus", "source", "n", *TRAINED),
    "ngram": ("corpus", "source", "n", "bytes", "arpa_bytes"),
}
WHOLE = ("layers", "size", "n", "hidden", "parameters", "seed", "epoch", "bytes", "arpa_bytes")
NUMBERS = ("val_loss", "dropout", "rate", "bytes_per_character")
TEXTS = ("corpus", "source", "type", "version", "failed")
DIGEST = ("characters", "loss", "sd", "streams", "symbols", "sketch")

SKETCH = 1024  # numbers in a sketch
CHUNK = 1 << 14  # test characters processed at a time


@dataclass(frozen=True, eq=False)
class Score:
    """The test scores of one model: metadata and logp, float32 [N], nats (memory-mapped).

    logp is None if only a digest exists. If both exist, losses are those of the digest.
    """

    path: Path
    meta: dict
    logp: np.ndarray | None

    @property
    def key(self) -> ModelKey:
        """The identity of the model."""
        return ModelKey.of(self.meta)

    @property
    def characters(self) -> int:
        """N, the number of test characters."""
        return self.meta["digest"]["characters"] if self.logp is None else self.logp.size

    @property
    def loss(self) -> float:
        """Test cross-entropy in nats per character (tables 1 and 2)."""
        if "digest" in self.meta:
            return self.meta["digest"]["loss"]
        return -float(self.logp.mean(dtype=np.float64))

    def stream_losses(self, streams: int) -> np.ndarray:
        """The loss of each of S test streams, float64 [S], nats per character.

        Raises InputError if a digest has another number of streams.
        """
        if "digest" not in self.meta:
            return -self.logp.reshape(streams, -1).mean(axis=1, dtype=np.float64)
        found = self.meta["digest"]["streams"]
        if len(found) != streams:
            raise InputError(
                f"{self.path}: expected {streams} test streams, got {len(found)};"
                " publish it again from this split"
            )
        return np.array(found, dtype=np.float64)

    def probabilities(self, part: slice = slice(None)) -> np.ndarray:
        """The probabilities of a part of the test characters, float64 [n] where n <= N."""
        return np.exp(self.logp[part], dtype=np.float64)

    def sketch(self) -> np.ndarray:
        """The probabilities [N] folded into float16 [SKETCH].

        Each is multiplied by a random sign and added at its index modulo SKETCH. This preserves
        distances between models to about 1 part in 40 (figure 1, right).
        """
        if self.logp is None:
            return np.frombuffer(base64.b64decode(self.meta["digest"]["sketch"]), "<f2")
        random = np.random.default_rng(0)
        folded = np.zeros(SKETCH)
        for start in range(0, self.logp.size, CHUNK):
            piece = self.probabilities(slice(start, start + CHUNK))
            piece = piece * random.choice([-1.0, 1.0], piece.size)
            folded += np.pad(piece, (0, -piece.size % SKETCH)).reshape(-1, SKETCH).sum(axis=0)
        return folded.astype("<f2")

    def symbol_means(self, split: dict[str, np.ndarray]) -> np.ndarray:
        """The mean probability of each symbol where it is correct, float64 [K] (figure 4).

        0 for symbols absent from the test text. split: see `corpora.read_split`.
        """
        if self.logp is None:
            return np.array(self.meta["digest"]["symbols"])
        codes, symbols = split["test_y"].ravel(), len(split["alphabet"])
        sums = np.bincount(codes, weights=self.probabilities(), minlength=symbols)
        return sums / np.bincount(codes, minlength=symbols).clip(min=1)

    def digest(self, split: dict[str, np.ndarray]) -> dict:
        """The digest of the scores [N], for the .json file: keys DIGEST. split: as above."""
        losses = -self.logp.astype(np.float64)
        streams = self.stream_losses(len(split["test_y"]))
        return {
            "characters": self.characters,
            "loss": round(self.loss, 6),
            # the limit of the bootstrap for many samples
            "sd": round(float(losses.std() / math.sqrt(losses.size)), 6),
            "streams": [round(loss, 5) for loss in streams.tolist()],
            "symbols": [round(mean, 5) for mean in self.symbol_means(split).tolist()],
            "sketch": base64.b64encode(self.sketch().tobytes()).decode(),
        }


def write_scores(path: Path, logp: np.ndarray, meta_path: Path, meta: dict) -> None:
    """Write a score array [N], and its metadata with the digest of the array.

    Raises InputError where a file cannot be written.
    """
    with atomic(path) as temporary:
        with open(temporary, "wb") as file:
            np.save(file, logp, allow_pickle=False)
        meta = meta | {"sha256": sha256(temporary)}
        write_with_digest(meta_path, json.dumps(meta, indent=1).encode() + b"\n")


def read_score(path: str | Path) -> Score:
    """Read a score array and the metadata beside it or, given a .json file, its digest.

    Raises InputError if a file is missing or unusable.
    """
    path = Path(path)
    meta = read_json(path.with_suffix(".json"))
    family = meta.get("family")
    if not isinstance(family, str) or family not in METADATA:
        raise InputError(
            f"{path.with_suffix('.json')}: expected family {', '.join(METADATA)}, got {family!r}; "
            "score the model again"
        )
    require(meta, METADATA[family], path.with_suffix(".json"))
    check_types(meta, path.with_suffix(".json"))
    if path.suffix == ".json":
        return read_digest(path, meta)
    check_stated(path, meta.get("sha256"))
    try:
        logp = np.load(path, mmap_mode="r")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no readable score array ({reason(error)})") from None
    except Exception:  # numpy's own words advise unsafe loading
        raise damaged(path) from None
    if logp.ndim != 1 or not logp.size or not np.issubdtype(logp.dtype, np.floating):
        raise InputError(
            f"{path}: expected one float per test character, got {logp.dtype} of shape "
            f"{logp.shape}; score the model again"
        )
    bad = np.flatnonzero(~np.isfinite(logp))
    if bad.size and "failed" not in meta:
        raise InputError(
            f"{path}: score {logp[bad[0]]} at test position {bad[0]} is not a finite "
            f"log-probability ({bad.size} such); train or score this model again"
        )
    return Score(path, meta, logp)


def check_types(meta: dict, path: Path) -> None:
    """Raise InputError where a field of a model's metadata has another type than it should."""
    for name, value in meta.items():
        if name == "size" and value is None:  # of a network that is in no row of table 1
            continue
        if name in WHOLE:
            wanted, fits = "a whole number", type(value) is int and 0 <= value < 1 << 63
        elif name in NUMBERS:
            fits = type(value) in (int, float) and math.isfinite(value)
            wanted = "a finite number"
        else:
            wanted, fits = "text", name not in TEXTS or isinstance(value, str)
        if not fits:
            shown = repr(value) if len(repr(value)) < 60 else repr(value)[:56] + " ..."
            raise InputError(f"{path}: {name}: expected {wanted}, got {shown}; score it again")


def read_digest(path: Path, meta: dict) -> Score:
    """The score from the digest in a metadata file. Raises InputError if it is damaged."""
    digest = meta.get("digest")
    if not isinstance(digest, dict):
        raise InputError(f"{path}: holds no digest of scores; publish this model again")
    require(digest, DIGEST, path)
    score = Score(path, meta, None)
    try:
        folded = score.sketch()
    except (binascii.Error, TypeError, ValueError):
        folded = np.empty(0)
    if folded.size != SKETCH:
        raise InputError(f"{path}: its sketch is damaged; publish this model again")
    return score


def read_scores(
    paths: Iterable[str | Path], *families: str, with_failed: bool = False
) -> list[Score]:
    """Read scores, in the order given, and keep those of these families.

    with_failed: keep networks whose training diverged, too. Raises InputError if a file is missing
    or unusable.
    """
    scores = [read_score(path) for path in paths]
    return [
        score
        for score in scores
        if score.meta["family"] in families and (with_failed or "failed" not in score.meta)
    ]


def by_corpus(
    scores: Iterable[Score], corpora: dict[str, dict], what: str
) -> dict[str, list[Score]]:
    """Group scores by corpus, in the order of `corpora`, and check that they can be compared.

    what: the models, for the message. Raises InputError if a corpus has no score, a score no
    corpus, or texts or lengths differ.
    """
    groups: dict[str, list[Score]] = {corpus: [] for corpus in corpora}
    for score in scores:
        corpus = score.meta["corpus"]
        if corpus not in groups:
            raise InputError(f"{score.path}: its corpus {corpus!r} is not among those given")
        group = groups[corpus]
        group.append(score)
        if score.characters != group[0].characters:
            raise InputError(
                f"{score.path}: {score.characters} scores, but {group[0].path} has "
                f"{group[0].characters}: not the same test text; score both again"
            )
        if score.meta["source"] != group[0].meta["source"]:
            raise InputError(
                f"{score.path}: a score on '{score.meta['source']}', but {group[0].path} is on "
                f"'{group[0].meta['source']}': losses on two texts are not compared"
            )
    for corpus, group in groups.items():
        if not group:
            raise InputError(f"corpus {corpus}: no {what} among the scores given")
    return groups


def figure_network(scores: Iterable[Score], type: str = "lstm") -> Score:
    """The LSTM, or the network of another type, of figures 4 and 5 and of the claims about them.

    It has the lowest validation loss of those with three layers (or else the most): see
    `models.best`. Raises InputError if there is no network of the type.
    """
    own = [score for score in scores if score.meta.get("type") == type]
    if not own:
        name = type_name(type)
        raise InputError(
            f"no {name} among the scores: train one (grid.types), or choose a trained type (--type)"
        )
    return best(own, lambda score: score.meta, type, paper_depth=True)


def ngrams_by_n(scores: Iterable[Score]) -> dict[int, Score]:
    """The n-gram models by context length n, ascending. Raises InputError if there is none."""
    ngrams = {score.meta["n"]: score for score in scores if score.meta["family"] == "ngram"}
    if not ngrams:
        raise InputError(
            "no n-gram model among the scores: add one to ngrams.orders and run snakemake"
        )
    return dict(sorted(ngrams.items()))
