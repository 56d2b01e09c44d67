"""UTF-8, byte by byte: which bytes may follow, so that a sample holds whole characters alone."""

import numpy as np

CONTINUATION = range(0x80, 0xC0)
LENGTHS = {2: range(0xC2, 0xE0), 3: range(0xE0, 0xF0), 4: range(0xF0, 0xF5)}  # of lead bytes
SECOND = {  # narrower than CONTINUATION: no overlong forms, no halves of pairs, none too large
    0xE0: range(0xA0, 0xC0), 0xED: range(0x80, 0xA0), 0xF0: range(0x90, 0xC0),
    0xF4: range(0x80, 0x90),
}  # fmt: skip


def of_alphabet(alphabet: bytes) -> bool:
    """Whether these may be the distinct bytes of a text in UTF-8 that is not ASCII alone."""
    above = {byte for byte in alphabet if byte >= 0x80}
    return any(byte in CONTINUATION for byte in above) and all(
        byte in CONTINUATION or length(byte) > 1 for byte in above
    ) and any(byte not in CONTINUATION for byte in above)  # fmt: skip


def length(first: int) -> int:
    """The bytes of a character that begins with this one; 1 for ASCII and for what begins none."""
    return next((n for n, leads in LENGTHS.items() if first in leads), 1)


def follow(begun: bytes) -> np.ndarray:
    """Which bytes may follow a character of which so many bytes are read, bool [256].

    begun: empty between characters, where any but a continuation may follow.
    """
    allowed = np.zeros(256, bool)
    if not begun:
        allowed[:0x80] = True
        for leads in LENGTHS.values():
            allowed[list(leads)] = True
    else:
        second = SECOND.get(begun[0], CONTINUATION) if len(begun) == 1 else CONTINUATION
        allowed[list(second)] = True
    return allowed


def begun(text: bytes) -> bytes:
    """The bytes at the end of a text that begin a character and do not complete it."""
    for back in range(1, min(3, len(text)) + 1):
        first = text[-back]
        if first not in CONTINUATION:
            return text[-back:] if length(first) > back else b""
    return b""
