"""The symbols of a text (see `unicode`) as numbers and as codes.

Bytes are uint8 and characters, as code points, uint32. A code is an index into the alphabet, the
distinct symbols of a text in order: uint8, or uint16 where there are more than 255 of them.
"""

import numpy as np

from charlens.text.unicode import BYTES, CHARACTERS, Text, decoded, encoded, symbols_are

MOST = 65_535  # symbols of an alphabet: codes are uint16, and one of them means "none"


def symbols_are_of(numbers: np.ndarray) -> str:
    """What the symbols are of which these are the numbers."""
    return BYTES if numbers.dtype == np.uint8 else CHARACTERS


def numbers(text: Text) -> np.ndarray:
    """The symbols of a text as numbers [N]: bytes as uint8, code points as uint32."""
    if isinstance(text, bytes):
        return np.frombuffer(text, np.uint8)
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


def text_of(numbers: np.ndarray) -> Text:
    """The text whose symbols these are: the inverse of `numbers`."""
    if symbols_are_of(numbers) == BYTES:
        return numbers.tobytes()
    return numbers.astype("<u4").tobytes().decode("utf-32-le")


def code_type(symbols: int) -> type[np.unsignedinteger]:
    """The type of codes of an alphabet of so many symbols; its largest value is no code."""
    return np.uint8 if symbols <= 255 else np.uint16


def in_hex(alphabet: np.ndarray) -> str:
    """An alphabet [K] as model files hold it: its symbols in UTF-8, in hexadecimal."""
    return encoded(text_of(alphabet)).hex()


def alphabet_of(about: dict) -> np.ndarray:
    """The alphabet of a model, uint8 or uint32 [K], from its metadata."""
    content = bytes.fromhex(about["alphabet"])
    return numbers(decoded(content, symbols_are(about), "alphabet"))


def bytes_each(alphabet: np.ndarray) -> np.ndarray:
    """The length of each symbol of an alphabet in bytes, in UTF-8: int64 [K]."""
    if symbols_are_of(alphabet) == BYTES:
        return np.ones(len(alphabet), np.int64)
    return 1 + np.searchsorted([0x80, 0x800, 0x10000], alphabet, side="right")
