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
A word is a run of letters, digits, "_" and bytes above ASCII; apostrophes and hyphens end it. (In a
text of characters, a str, letters and punctuation of all scripts count; where a script has no
spaces, a word is a whole run of letters.) The memory includes the text before a test stream: it is
about the text, not about a model.

The paper may count two categories differently; `oracles` has both ways (DEFINITIONS):

    substring memory        the word's letters occurred, be it inside another word
    punctuation on the mark the character is itself a punctuation mark, quotes included
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from charlens.text.symbols import numbers
from charlens.text.unicode import Text

CATEGORIES = ("n-gram", "memory", "rare words", "word model", "punctuation", "boost")
MEMORY = (100, 500, 1000, 5000)
RARE = (0, 1, 2, 3, 4, 5)
BOOST = (0.4, 0.45, 0.5)
NGRAMS = range(1, 10)
AFTER = {"space": b" \t", "newline": b"\r\n", "quote": b"\"'`"}
DEFINITIONS = {
    "default": {},
    "substring memory": {"substring": True},
    "punctuation on the mark": {"on_mark": True},
}
MARKS = string.punctuation.encode()
QUOTES = "“”‘’«»„「」『』"  # beside those of AFTER, in a text of characters
WORD = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")
HALF = np.float32(np.log(0.5))  # rounded as scores are: a probability of exactly 0.5 is no error

Oracle = tuple[str, str, np.ndarray]  # category, level, which characters [N]


def errors(logp: np.ndarray) -> np.ndarray:
    """The characters whose probability is below 0.5, bool [N]; logp: float [N], nats."""
    return np.asarray(logp) < HALF


def word_of(text: Text) -> re.Pattern:
    """What a word of a text is. In a text of characters, marks that combine with a letter, such as
    vowel signs and accents, belong to it."""
    if isinstance(text, bytes):
        return WORD
    combining = "".join(sorted(c for c in set(text) if unicodedata.category(c).startswith("M")))
    return re.compile(rf"[\w{re.escape(combining)}]+")


def words(text: Text) -> tuple[np.ndarray, np.ndarray, list[Text]]:
    """The start and end of every word of a text, int64 [W] each, and the W words."""
    found = [(match.start(), match.end(), match.group()) for match in word_of(text).finditer(text)]
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


def since_last(starts: np.ndarray, spelled: Iterable[Text]) -> np.ndarray:
    """The distance from each word back to its previous occurrence, start to start, in characters.

    starts: int64 [W]; spelled: the W words. Returns float64 [W], inf at a first occurrence.
    """
    last: dict[Text, int] = {}
    back = np.full(len(starts), np.inf)
    for number, (start, word) in enumerate(zip(starts, spelled, strict=True)):
        if word in last:
            back[number] = start - last[word]
        last[word] = start
    return back


def since_last_within(text: Text, starts: np.ndarray, spelled: list[Text]) -> np.ndarray:
    """As `since_last`, but any occurrence of the word's letters counts, also inside another word.

    Occurrences further back than the longest memory are not looked for.
    """
    back = np.full(len(starts), np.inf)
    for number, (start, word) in enumerate(zip(starts.tolist(), spelled, strict=True)):
        found = text.rfind(word, max(0, start - MEMORY[-1]), start)
        if found >= 0:
            back[number] = start - found
    return back


def in_memory(text: Text, positions: np.ndarray, substring: bool = False) -> np.ndarray:
    """The distance from the word at each position to its previous occurrence, in characters.

    positions: int64 [N]. substring: see `since_last_within`. Returns float64 [N]: inf if there is
    no earlier occurrence, if the position is in no word, and at the first character of a word.
    """
    starts, ends, spelled = words(text)
    word = word_at(starts, ends, positions)
    back = np.full(len(starts) + 1, np.inf)  # the last one for positions in no word
    if substring:
        here = np.unique(word[word >= 0])
        back[here] = since_last_within(text, starts[here], [spelled[w] for w in here])
    else:
        back[:-1] = since_last(starts, spelled)
    first = np.append(starts, -1)[word] == positions
    return np.where(first, np.inf, back[word])


def times_in_training(text: Text, positions: np.ndarray, streams: Iterable[Text]) -> np.ndarray:
    """The count in the training streams of the word at each position.

    positions: int64 [N]. Returns float64 [N], inf if the position is in no word.
    """
    word = word_of(text)
    known = Counter(found for stream in streams for found in word.findall(stream))
    starts, ends, spelled = words(text)
    counts = np.array([known[word] for word in spelled] + [np.inf])
    return counts[word_at(starts, ends, positions)]


def before(text: Text, positions: np.ndarray) -> np.ndarray:
    """The byte or code point before each position [N]; before position 0 stands the last one."""
    return numbers(text)[positions - 1]


def marks_of(text: Text) -> tuple[dict[str, set[int]], set[int], set[int]]:
    """What oracles look for: the marks that most often start a word, by name; other punctuation;
    all punctuation. In a text of characters, marks and blanks beyond ASCII count."""
    after, marks = {name: set(found) for name, found in AFTER.items()}, set(MARKS)
    if isinstance(text, str):
        after["space"] |= {ord(c) for c in set(text) if c.isspace()} - after["newline"]
        after["quote"] |= set(map(ord, QUOTES))
        marks |= {
            ord(letter) for letter in set(text) if unicodedata.category(letter).startswith("P")
        }
    return after, marks - after["quote"], marks


def oracles(
    text: Text,
    positions: np.ndarray,
    training: Iterable[Text],
    ngrams: dict[int, np.ndarray],
    substring: bool = False,
    on_mark: bool = False,
) -> list[Oracle]:
    """The oracles but for the boost, in order: category, level, and the characters that it gets
    right, bool [N].

    positions: int64 [N], offsets of the test characters in the text. training: the training
    streams. ngrams: log-probabilities [N], nats, by n. substring, on_mark: see DEFINITIONS. Source:
    figure 6.
    """
    back = in_memory(text, positions, substring)
    seen = times_in_training(text, positions, training)
    previous = before(text, positions)
    applied = [("n-gram", f"n = {n}", ~errors(ngrams[n])) for n in NGRAMS if n in ngrams]
    applied += [("memory", f"last {length:,}", back <= length) for length in MEMORY]
    applied += [("rare words", f"seen {times} times", seen <= times) for times in RARE]
    after, punctuation, marks = marks_of(text)
    applied += [
        ("word model", f"after {name}", np.isin(previous, list(found)))
        for name, found in after.items()
    ]
    if on_mark:
        own = numbers(text)[positions]
        applied.append(("punctuation", "on punctuation", np.isin(own, list(marks))))
    else:
        applied.append(("punctuation", "after punctuation", np.isin(previous, list(punctuation))))
    return applied


def boosts(logp: np.ndarray) -> list[Oracle]:
    """The last oracle: what more probability, up to BOOST, would get right; logp: float [N]."""
    probability = np.exp(logp, dtype=np.float64)
    applied = [("boost", f"+{more:g}", probability + more >= 0.5) for more in BOOST[:-1]]
    return [*applied, ("boost", f"+{BOOST[-1]:g}", np.ones(len(logp), dtype=bool))]


def removed(logp: np.ndarray, applied: Iterable[Oracle]) -> Iterator[Oracle]:
    """The errors that each oracle, the boost last, removes of those that the ones before it left.

    logp: float [N]; applied: see `oracles`. Yields category, level, errors removed, bool [N].
    """
    left = errors(logp)
    for category, level, right in [*applied, *boosts(logp)]:
        yield category, level, left & right
        left = left & ~right


def breakdown(logp: np.ndarray, applied: Iterable[Oracle]) -> list[dict]:
    """How many errors each oracle removes (figure 6): rows of category, level, errors (their
    number), share (of all errors), rate (of all characters). logp, applied: see `removed`.
    """
    total = int(errors(logp).sum())
    counts = [(category, level, int(own.sum())) for category, level, own in removed(logp, applied)]
    return [
        {
            "category": category,
            "level": level,
            "errors": count,
            "share": count / total if total else 0.0,
            "rate": count / len(logp),
        }
        for category, level, count in counts
    ]
