"""The oracles of figure 6 on constructed texts, and that their shares add up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlens.statistics import oracles

TEXT = b'the cat, the dog\n"the catalogue" don\'t'


def at(text, letter, skip=0):
    """The position of the skip-th occurrence of a letter."""
    return [i for i, c in enumerate(text) if c == letter][skip]


def marked(mask):
    return "".join("^" if hit else "." for hit in mask)


def everywhere(text):
    return np.arange(len(text))


def test_words():
    starts, ends, spelled = oracles.words("it's x_1—né 2nd-hand".encode())
    assert spelled == [b"it", b"s", "x_1—né".encode(), b"2nd", b"hand"]  # bytes above ASCII join
    assert [e - s for s, e in zip(starts, ends, strict=True)] == [len(word) for word in spelled]
    starts, ends, spelled = oracles.words(b" .. \n")
    assert len(starts) == len(ends) == len(spelled) == 0


def test_word_at():
    starts, ends, _ = oracles.words(b"ab  cd.")
    found = oracles.word_at(starts, ends, np.arange(7))
    assert found.tolist() == [0, 0, -1, -1, 1, 1, -1]
    assert oracles.word_at(starts[:0], ends[:0], np.arange(2)).tolist() == [-1, -1]


def test_memory():
    text = b"cat dog cat cats cat"
    back = oracles.in_memory(text, everywhere(text))
    #                      c  a  t     d  o  g     c  a  t     c  a  t  s     c  a  t
    expected = [np.inf] * 9 + [8, 8] + [np.inf] * 7 + [9, 9]
    assert back.tolist() == expected  # not in a first character, not in another word
    assert marked(back <= 8) == ".........^^........."


def test_a_memory_of_substrings_finds_words_inside_others():
    text = b"cats cat scatter cat"
    back = oracles.in_memory(text, everywhere(text), substring=True)
    inf = np.inf
    #                c    a    t    s         c   a  t         s  c  a  t  t  e  r       c  a  t
    assert back.tolist() == [inf] * 6 + [5, 5] + [inf] * 10 + [7, 7]
    # the same word found at the same distance, unless another word holds it nearer by
    whole = oracles.in_memory(text, everywhere(text))
    assert whole[[6, 7, 18, 19]].tolist() == [inf, inf, 12, 12]
    far = b"word " + b"." * 5000 + b" word"
    assert oracles.in_memory(far, np.array([len(far) - 1]), substring=True).tolist() == [inf]


def test_punctuation_on_the_mark_or_after_it():
    text = b'a,b "c"'
    for definition, expected in ({}, "..^...."), ({"on_mark": True}, ".^..^.^"):
        (mask,) = (m for c, _, m in applied(text, **definition) if c == "punctuation")
        assert marked(mask) == expected


def test_memory_reaches_back_over_the_beginning_of_the_test_stream():
    text = b"word " + b"." * 90 + b" word"
    last = np.array([len(text) - 1])
    assert oracles.in_memory(text, last).tolist() == [96]


def test_rare_words():
    text = b"aa bb cc dd."
    training = [b"aa aa aa bb", b"bb aaa cc", b"x"]
    seen = oracles.times_in_training(text, everywhere(text), training)
    inf = np.inf
    assert seen.tolist() == [3, 3, inf, 2, 2, inf, 1, 1, inf, 0, 0, inf]


def test_word_model_and_punctuation():
    text = b"a b\tc\r\nd\"e'f`g.h,i-j(k1_2"
    previous = oracles.before(text, everywhere(text))
    starting, punctuation, _ = oracles.marks_of(text)
    after = {
        name: [chr(c) for c, p in zip(text, previous, strict=True) if p in marks]
        for name, marks in (starting | {"punctuation": punctuation}).items()
    }
    assert after["space"] == ["b", "c"]
    assert after["newline"] == ["\n", "d"]
    assert after["quote"] == ["e", "f", "g"]
    assert after["punctuation"] == ["h", "i", "j", "k", "2"]
    assert oracles.before(text, np.array([0])).tolist() == [ord("2")]  # the text is a ring


def test_words_and_marks_of_a_text_of_characters():
    text = "ёж, «ёж» 世界。世界"
    assert oracles.words(text)[2] == ["ёж", "ёж", "世界", "世界"]
    back = oracles.in_memory(text, everywhere(text))
    assert back[text.rindex("ж")] == 5 and back[text.rindex("界")] == 3
    seen = oracles.times_in_training(text, everywhere(text), ["ёж ёж ежи", "世界"])
    assert seen[0] == 2 and seen[-1] == 1
    starting, punctuation, marks = oracles.marks_of(text)
    assert ord("«") in starting["quote"] and ord("«") not in punctuation
    assert ord("。") in punctuation
    assert {ord("«"), ord("。"), ord(",")} <= marks


def test_marks_that_combine_with_letters_belong_to_their_word():
    hindi, french = "हिन्दी भाषा हिन्दी", "été été"
    assert oracles.words(hindi)[2] == hindi.split()
    assert oracles.words(french)[2] == french.split()
    back = oracles.in_memory(hindi, everywhere(hindi))
    assert back[-1] == hindi.rindex("ह")
    assert oracles.times_in_training(french, everywhere(french), [french])[0] == 2


def test_every_blank_may_begin_a_word():
    text = "a\u00a0b\u3000c d\ne"
    starting, *_ = oracles.marks_of(text)
    assert (
        starting["space"] >= set(map(ord, "\u00a0\u3000 ")) and ord("\n") not in starting["space"]
    )


def applied(text, ngrams=None, training=(), **definition):
    return oracles.oracles(text, everywhere(text), training, ngrams or {}, **definition)


def test_the_order_is_the_papers():
    text = b"abc abc"
    ngrams = {n: np.zeros(len(text)) for n in (20, 9, 1, 2)}
    found = [(c, level) for c, level, _ in oracles.removed(np.full(7, -1.0), applied(text, ngrams))]
    assert list(dict.fromkeys(c for c, _ in found)) == (
        ["n-gram", "memory", "rare words", "word model", "punctuation", "boost"]
    )
    assert [level for c, level in found if c == "n-gram"] == ["n = 1", "n = 2", "n = 9"]  # not 20
    assert [level for c, level in found if c == "memory"] == (
        ["last 100", "last 500", "last 1,000", "last 5,000"]
    )
    assert [level for c, level in found if c == "rare words"] == (
        [f"seen {k} times" for k in range(6)]
    )


def test_each_error_goes_to_the_first_oracle_that_fixes_it():
    # Every character of the test is an error but the last "c" of the text.
    text = b"zz zz aa,b d " + b"common " * 7 + b"c"
    logp = np.full(len(text), np.log(0.2))
    logp[-1] = np.log(0.5)  # one half is no error
    logp[at(text, ord(","))] = np.log(0.09)  # not even +0.4 is enough
    ngram = np.full(len(text), np.log(0.1))
    ngram[0] = np.log(0.5)
    training = [b"common " * 9 + b"zz zz zz zz zz zz b b b b b b d d d d d d d"]
    rows = oracles.breakdown(logp, applied(text, {1: ngram}, training))
    count = {}
    for row in rows:
        count[row["category"]] = count.get(row["category"], 0) + row["errors"]
    # n-gram: "z" at 0. memory: the second "z" of the second "zz", and "ommon" six times.
    # rare: "aa". word model: what comes after spaces. punctuation: "b" after ",".
    assert count["n-gram"] == 1
    assert count["memory"] == 1 + 6 * 5
    assert count["rare words"] == 2
    spaces = [i for i, c in enumerate(text) if c == ord(" ")]
    assert count["word model"] == len(spaces) - 2  # not the "a" of "aa", not the last "c"
    assert count["punctuation"] == 1
    # boost: the "z" at 1, the spaces, ",", and "ommon" where it is new
    assert count["boost"] == 1 + len(spaces) + 1 + 5
    assert {row["level"]: row["errors"] for row in rows}["+0.45"] == 1
    assert sum(row["errors"] for row in rows) == len(text) - 1


@settings(max_examples=60, deadline=None)
@given(
    text=st.binary(min_size=1, max_size=80),
    seed=st.integers(0, 1000),
    orders=st.sets(st.integers(1, 9), max_size=3),
)
def test_shares_add_up_to_all_errors(text, seed, orders):
    rng = np.random.default_rng(seed)
    logp = np.log(rng.uniform(0.01, 1, len(text))).astype(np.float32)
    ngrams = {n: np.log(rng.uniform(0.01, 1, len(text))) for n in orders}
    rows = oracles.breakdown(logp, applied(text, ngrams, [text[::2]]))
    wrong = int((np.exp(logp.astype(float)) < 0.4999999).sum())
    assert sum(row["errors"] for row in rows) == wrong
    if wrong:
        assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert sum(row["rate"] for row in rows) == pytest.approx(wrong / len(text))
