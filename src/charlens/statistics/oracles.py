"""The errors of a network that oracles remove, category by category (section 4.4, figure 6).

An error is a test character whose probability is below 0.5. Oracles are applied one after the
other, and each removes errors that the ones before it left. Their order and levels:

    n-gram        one of the n-gram models, n = 1 to 9, gives the character 0.5 or more
    memory        the character's word occurred in the last 100, 500, 1000, 5000 characters;
                  not the word's first character, which a memory of words cannot predict
    rare words    the character's word occurs at most 0, 1, ... 5 times in the training text
    word model    the character follows a space (or tab), a newline, a quote: most start a word
    punctuation   the character follows any other punctuation mark, including "_"
    boost         the probability reaches 0.5 if raised by 0.4, 0.45, 0.5

The last level of the last oracle removes whatever is left, so the shares add up to all errors.
A word is a run of letters, digits, "_" and bytes above ASCII; apostrophes and hyphens end it. The
memory includes the text before a test stream: it is about the text, not about a model.
"""

import re
import string
from collections import Counter
from collections.abc import Iterable

import numpy as np

MEMORY = (100, 500, 1000, 5000)
RARE = (0, 1, 2, 3, 4, 5)
BOOST = (0.4, 0.45, 0.5)
NGRAMS = range(1, 10)
AFTER = {"space": b" \t", "newline": b"\r\n", "quote": b"\"'`"}
PUNCTUATION = bytes(set(string.punctuation.encode()) - set(AFTER["quote"]))
WORD = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")
HALF = np.float32(np.log(0.5))  # rounded as scores are: a probability of exactly 0.5 is no error


def errors(logp: np.ndarray) -> np.ndarray:
    """The characters whose probability is below 0.5, bool [N]; logp: float [N], nats."""
    return np.asarray(logp) < HALF


def words(text: bytes) -> tuple[np.ndarray, np.ndarray, list[bytes]]:
    """The start and end of every word of a text, int64 [W] each, and the W words."""
    found = [(match.start(), match.end(), match.group()) for match in WORD.finditer(text)]
    spans = np.array([match[:2] for match in found], dtype=np.int64).reshape(-1, 2)
    return spans[:, 0], spans[:, 1], [match[2] for match in found]


def word_at(starts: np.ndarray, ends: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The index of the word that contains each position, int64 [N]; -1 if there is none.

    starts, ends: int64 [W], see `words`. positions: int64 [N].
    """
    if not len(starts):
        return np.full(len(positions), -1)
    word = np.searchsorted(starts, positions, side="right") - 1
    inside = (word >= 0) & (positions < ends[word])
    return np.where(inside, word, -1)


def since_last(starts: np.ndarray, spelled: Iterable[bytes]) -> np.ndarray:
    """The distance from each word back to its previous occurrence, start to start, in characters.

    starts: int64 [W]; spelled: the W words. Returns float64 [W], inf at a first occurrence.
    """
    last: dict[bytes, int] = {}
    back = np.full(len(starts), np.inf)
    for number, (start, word) in enumerate(zip(starts, spelled, strict=True)):
        if word in last:
            back[number] = start - last[word]
        last[word] = start
    return back


def in_memory(text: bytes, positions: np.ndarray) -> np.ndarray:
    """The distance from the word at each position to its previous occurrence, in characters.

    positions: int64 [N]. Returns float64 [N]: inf if there is no earlier occurrence, if the
    position is in no word, and at the first character of a word.
    """
    starts, ends, spelled = words(text)
    word = word_at(starts, ends, positions)
    back = np.append(since_last(starts, spelled), np.inf)[word]
    first = np.append(starts, -1)[word] == positions
    return np.where(first, np.inf, back)


def times_in_training(text: bytes, positions: np.ndarray, streams: Iterable[bytes]) -> np.ndarray:
    """The count in the training streams of the word at each position.

    positions: int64 [N]. Returns float64 [N], inf if the position is in no word.
    """
    known = Counter(word for stream in streams for word in WORD.findall(stream))
    starts, ends, spelled = words(text)
    counts = np.array([known[word] for word in spelled] + [np.inf])
    return counts[word_at(starts, ends, positions)]


def before(text: bytes, positions: np.ndarray) -> np.ndarray:
    """The byte before each position [N], uint8 [N]; position 0 is preceded by the last byte."""
    return np.frombuffer(text, np.uint8)[positions - 1]


def oracles(
    text: bytes,
    positions: np.ndarray,
    training: Iterable[bytes],
    ngrams: dict[int, np.ndarray],
    logp: np.ndarray,
) -> list[tuple[str, str, np.ndarray]]:
    """The oracles in order: category, level, and the characters that it gets right, bool [N].

    positions: int64 [N], offsets of the test characters in the text. training: the training
    streams. ngrams: log-probabilities [N], nats, by n. logp: float [N], those of the network whose
    errors are analysed. Source: figure 6.
    """
    back = in_memory(text, positions)
    seen = times_in_training(text, positions, training)
    previous = before(text, positions)
    probability = np.exp(logp, dtype=np.float64)
    applied = [("n-gram", f"n = {n}", ~errors(ngrams[n])) for n in NGRAMS if n in ngrams]
    applied += [("memory", f"last {length:,}", back <= length) for length in MEMORY]
    applied += [("rare words", f"seen {times} times", seen <= times) for times in RARE]
    applied += [
        ("word model", f"after {name}", np.isin(previous, list(marks)))
        for name, marks in AFTER.items()
    ]
    applied.append(("punctuation", "after punctuation", np.isin(previous, list(PUNCTUATION))))
    applied += [("boost", f"+{more:g}", probability + more >= 0.5) for more in BOOST[:-1]]
    applied.append(("boost", f"+{BOOST[-1]:g}", np.ones(len(logp), dtype=bool)))
    return applied


def breakdown(logp: np.ndarray, applied: list) -> list[dict]:
    """The errors that each oracle removes of those that the ones before it left (figure 6).

    logp: float [N]; applied: see `oracles`. Returns rows of category, level, errors (their number),
    share (of all errors), rate (of all characters).
    """
    left = errors(logp)
    total, rows = int(left.sum()), []
    for category, level, right in applied:
        removed = int((left & right).sum())
        left = left & ~right
        rows.append(
            {
                "category": category,
                "level": level,
                "errors": removed,
                "share": removed / total if total else 0.0,
                "rate": removed / len(left),
            }
        )
    return rows
