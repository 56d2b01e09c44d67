"""Symbols: what a model predicts one of at a time, the bytes of a text, as in the paper, or its
characters (Unicode code points), which are fewer and of more kinds.

A text that is read as bytes is `bytes` and one that is read as characters is `str`, so that its
type says how it is read, and text[i] is what is predicted at i. As numbers they are uint8 and
uint32. A code is an index into the alphabet, the distinct symbols of a text in order: uint8, or
uint16 where there are more than 255 of them.

Files hold UTF-8 in either case. Provenances and model files say "symbols_are": "characters"; where
they say nothing, symbols are bytes.
"""

import numpy as np

from charlens.errors import InputError

BYTES, CHARACTERS = "bytes", "characters"
CHOICES = (BYTES, CHARACTERS, "auto")
MOST = 65_535  # symbols of an alphabet: codes are uint16, and one of them means "none"
TRIFLE = 0.01  # share of a text's characters beyond ASCII from which on `chosen` takes characters

Text = bytes | str


def kind_of(about: dict) -> str:
    """What the symbols of a corpus or model are, by its provenance or metadata."""
    return about.get("symbols_are", BYTES)


def stated(kind: str) -> dict:
    """What a provenance or model file says about its symbols: nothing where they are bytes."""
    return {} if kind == BYTES else {"symbols_are": kind}


def kind_of_numbers(numbers: np.ndarray) -> str:
    """What the symbols are of which these are the numbers."""
    return BYTES if numbers.dtype == np.uint8 else CHARACTERS


def chosen(option: str, content: bytes) -> str:
    """What to take as symbols of a text. option: of CHOICES; auto: characters where the text is
    UTF-8 and more of it than a TRIFLE is beyond ASCII, else bytes."""
    if option != "auto":
        return option
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return BYTES
    beyond = len(text) - len(content.translate(None, bytes(range(0x80, 0x100))))
    return CHARACTERS if beyond > TRIFLE * len(text) else BYTES


def decoded(content: bytes, kind: str, name: object) -> Text:
    """The content of a file as a text of such symbols. name: of the file. Raises InputError where
    it is to be read as characters and is not UTF-8."""
    if kind == BYTES:
        return content
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}: not UTF-8 at byte {error.start:,}, so it cannot be read as characters:"
            " save it as UTF-8"
        ) from None


def encoded(text: Text) -> bytes:
    """The text in UTF-8; bytes stay as they are."""
    return text if isinstance(text, bytes) else text.encode()


def numbers(text: Text) -> np.ndarray:
    """The symbols of a text as numbers [N]: bytes as uint8, code points as uint32."""
    if isinstance(text, bytes):
        return np.frombuffer(text, np.uint8)
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


def text_of(numbers: np.ndarray) -> Text:
    """The text whose symbols these are: the inverse of `numbers`."""
    if kind_of_numbers(numbers) == BYTES:
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
    return numbers(decoded(content, kind_of(about), "alphabet"))


def bytes_each(alphabet: np.ndarray) -> np.ndarray:
    """The length of each symbol of an alphabet in bytes, in UTF-8: int64 [K]."""
    if kind_of_numbers(alphabet) == BYTES:
        return np.ones(len(alphabet), np.int64)
    return 1 + np.searchsorted([0x80, 0x800, 0x10000], alphabet, side="right")
