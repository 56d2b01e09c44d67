"""What a model predicts one of at a time, its symbols: the bytes of a text, as in the paper, or its
characters (Unicode code points), which are fewer and of more kinds.

A text that is read as bytes is `bytes` and one that is read as characters is `str`, so that its
type says how it is read, and text[i] is what is predicted at i. `symbols` has them as numbers.

Files hold UTF-8 in either case. Provenances and model files say "symbols_are": "characters"; where
they say nothing, symbols are bytes.
"""

import re

from charlens.errors import InputError

BYTES, CHARACTERS = "bytes", "characters"
TRIFLE = 0.005  # share of a text's characters beyond ASCII from which on `chosen` takes characters

Text = bytes | str


# scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese
UNSPACED = re.compile(
    "[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)


def unspaced(text: Text) -> bool:
    """Is more than a tenth of a text in scripts that put no spaces between words?"""
    return isinstance(text, str) and 10 * len(UNSPACED.findall(text)) > len(text)


def symbols_are(about: dict) -> str:
    """What the symbols of a corpus or model are, by its provenance or metadata."""
    return about.get("symbols_are", BYTES)


def stated(kind: str) -> dict:
    """What a provenance or model file says about its symbols: nothing where they are bytes."""
    return {} if kind == BYTES else {"symbols_are": kind}


def chosen(option: str, content: bytes) -> str:
    """What to take as symbols of a text. option: bytes, characters or auto; auto: characters where
    the text is UTF-8 and more of it than a TRIFLE is beyond ASCII, else bytes."""
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
