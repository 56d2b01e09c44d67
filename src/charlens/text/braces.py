"""The brace matcher: which "{" belongs to which "}" in C or C++ text (figure 5, left)."""

import numpy as np

from charlens.text.lexer import lexer

tokens = lexer(rb"(?P<open> \{ ) | (?P<close> \} )")


def brace_pairs(text: bytes) -> np.ndarray:
    """Match the braces of C or C++ text.

    Returns int64 [P, 2]: the byte offsets of each "{" and its "}", in the order of the "}".
    Braces in string and character literals, comments and #error messages are not blocks; other
    preprocessor lines count as code. Each branch of an #if starts at the depth at which the #if
    began, and the code after the #endif continues from the first branch. So of two "{" in
    alternative branches the first is closed, and two "}" in alternative branches close the same
    "{". A "}" that closes nothing and a "{" that is never closed are omitted.
    """
    pairs = []
    blocks: list[int] = []  # offsets of the open "{"
    branches: list[list] = []  # per open #if: blocks at the #if, blocks after its first branch
    for token in tokens(text):
        kind = token.lastgroup
        if kind == "open":
            blocks.append(token.start())
        elif kind == "close":
            if blocks:
                pairs.append((blocks.pop(), token.start()))
        elif kind == "if":
            branches.append([blocks.copy(), None])
        elif kind == "else" and branches:
            before, first = branches[-1]
            if first is None:
                branches[-1][1] = blocks
            blocks = before.copy()
        elif kind == "endif" and branches:
            _, first = branches.pop()
            if first is not None:
                blocks = first
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def pairs_in_test(
    pairs: np.ndarray, test_at: np.ndarray, n_test: int
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs with both ends in the same test stream (figure 5, left).

    pairs [P, 2]: offsets of "{" and "}" in the text; test_at [S]: offset of each test stream's
    first character, increasing; n_test: characters per stream. Returns two arrays, int64 [Q]: the
    position of the "}" in the joined test streams, and its distance from the "{" in characters.
    """
    opening, closing = pairs.T
    stream = np.searchsorted(test_at, opening, side="right") - 1
    start = np.asarray(test_at)[stream]
    inside = (stream >= 0) & (closing < start + n_test)
    index = stream * n_test + closing - start
    return index[inside], (closing - opening)[inside]
