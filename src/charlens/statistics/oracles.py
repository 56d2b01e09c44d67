"""Which errors of a network an oracle would remove, category by category (section 4.4, Figure 6).

An error is a test character that was given less than half of the probability. Oracles are applied
one after the other, and each removes what the ones before it left. Their order and levels:

    n-gram        one of the n-gram models, n = 1 to 9, gives the character half or more
    memory        the character's word occurred in the last 100, 500, 1000, 5000 characters;
                  not the word's first character, which no memory of the word gives away
    rare words    the character's word occurs at most 0, 1, ... 5 times in the training text
    word model    the character comes after a space (or tab), a newline, a quote: most start a word
    punctuation   the character comes after any other punctuation mark, "_" among them
    boost         half the probability is reached with 0.4, 0.45, 0.5 more

The last level of the last oracle removes whatever is left, so the shares add up to all errors.
A word is a run of letters, digits, "_" and bytes above ASCII; in apostrophes and hyphens it ends.
The text before a test stream counts as read: memory is about the text, not about a model.
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
HALF = np.float32(np.log(0.5))  # rounded as scores are: exactly one half is no error


def errors(logp: np.ndarray) -> np.ndarray:
    """Which characters were given less than half of the probability: bool [N]."""
    return np.asarray(logp) < HALF


def words(text: bytes) -> tuple[np.ndarray, np.ndarray, list[bytes]]:
    """Beginning and end of every word of a text, int64 [W] each, and the words."""
    found = [(match.start(), match.end(), match.group()) for match in WORD.finditer(text)]
    spans = np.array([match[:2] for match in found], dtype=np.int64).reshape(-1, 2)
    return spans[:, 0], spans[:, 1], [match[2] for match in found]


def word_at(starts: np.ndarray, ends: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The number of the word that each position lies in, -1 where it lies in none."""
    if not len(starts):
        return np.full(len(positions), -1)
    word = np.searchsorted(starts, positions, side="right") - 1
    inside = (word >= 0) & (positions < ends[word])
    return np.where(inside, word, -1)


def since_last(starts: np.ndarray, spelled: Iterable[bytes]) -> np.ndarray:
    """How many characters back each word occurred last, counted to the beginning of that
    occurrence: float [W], inf where it is new."""
    last: dict[bytes, int] = {}
    back = np.full(len(starts), np.inf)
    for number, (start, word) in enumerate(zip(starts, spelled, strict=True)):
        if word in last:
            back[number] = start - last[word]
        last[word] = start
    return back


def in_memory(text: bytes, positions: np.ndarray) -> np.ndarray:
    """How many characters back the word of each position occurred last, float [N].

    inf where it did not occur, where the position is in no word, and at a word's first character.
    """
    starts, ends, spelled = words(text)
    word = word_at(starts, ends, positions)
    back = np.append(since_last(starts, spelled), np.inf)[word]
    first = np.append(starts, -1)[word] == positions
    return np.where(first, np.inf, back)


def times_in_training(text: bytes, positions: np.ndarray, streams: Iterable[bytes]) -> np.ndarray:
    """How often the word of each position occurs in the training streams, float [N]; inf where the
    position is in no word."""
    known = Counter(word for stream in streams for word in WORD.findall(stream))
    starts, ends, spelled = words(text)
    counts = np.array([known[word] for word in spelled] + [np.inf])
    return counts[word_at(starts, ends, positions)]


def before(text: bytes, positions: np.ndarray) -> np.ndarray:
    """The byte before each position, uint8 [N]; before a text's first stands its last."""
    return np.frombuffer(text, np.uint8)[positions - 1]


def oracles(
    text: bytes,
    positions: np.ndarray,
    training: Iterable[bytes],
    ngrams: dict[int, np.ndarray],
    logp: np.ndarray,
) -> list[tuple[str, str, np.ndarray]]:
    """Every oracle in order: category, level, and the characters that it gets right, bool [N].

    positions [N]: offsets in the text of the test characters. training: the training streams.
    ngrams: log-probabilities [N] by n. logp [N]: those of the network whose errors are looked at.
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
    """How many errors each oracle removes that the ones before it left: rows of category, level,
    errors (how many), share (of all errors), rate (of all characters)."""
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
