"""What a file must be before its bytes are characters: unpacked, and UTF-8 where it says otherwise.

A text is bytes, in whatever encoding. But the bytes of a compressed file are no text, half of those
of UTF-16 are zeros, and a byte order mark adds symbols that occur once.
"""

import codecs
import gzip
import io
import zlib
from pathlib import Path

from charlens.errors import InputError

LARGEST = 1_000_000_000  # bytes that a packed file may hold
UNPACK_FIRST = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"(\xb5/\xfd": "zstd"}
# UTF-32 first: its little-endian mark begins with that of UTF-16
WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def decoded(content: bytes, name: str | Path, keep_mark: bool = False) -> tuple[bytes, str]:
    """The text in the content of a file, and in words what was done to get it ("" for nothing).

    gzip is unpacked; UTF-16 and UTF-32 with a byte order mark become UTF-8; the mark of UTF-8 is
    removed, or only named (keep_mark). All else stays as it is. name: of the file, for messages.
    Raises InputError for what is damaged, packed otherwise, or UTF-16 without a mark.
    """
    done = []
    if content.startswith(b"\x1f\x8b"):
        content = _unpacked(content, name)
        done.append("unpacked from gzip")
    for magic, kind in UNPACK_FIRST.items():
        if content.startswith(magic):
            raise InputError(f"{name}: packed with {kind}: unpack it first")
    encoding = next((WIDE[mark] for mark in WIDE if content.startswith(mark)), None)
    if encoding:
        try:
            content = content.decode(encoding).encode()
        except UnicodeError as error:
            raise InputError(f"{name}: damaged {encoding} ({error}): save it as UTF-8") from None
        done.append(f"converted from {encoding} to UTF-8")
    elif content.startswith(codecs.BOM_UTF8):
        if not keep_mark:
            content = content.removeprefix(codecs.BOM_UTF8)
        done.append(f"UTF-8 byte order mark {'kept' if keep_mark else 'removed'}")
    elif _alternates(content[:10_000]):
        raise InputError(f"{name}: UTF-16 without a byte order mark: save it as UTF-8")
    return content, ", ".join(done)


def read(path: str | Path) -> bytes:
    """The bytes of a regular file. Raises InputError where there is none or it cannot be read."""
    path = Path(path)
    if path.exists() and not path.is_file():  # a pipe or device might never end
        raise InputError(f"cannot read {path}: not a regular file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _unpacked(content: bytes, name: str | Path) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            text = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name}: damaged gzip ({error}): get it again") from None
    if len(text) > LARGEST:
        raise InputError(f"{name}: holds more than {LARGEST:,} bytes: give a smaller text")
    return text


def _alternates(start: bytes) -> bool:
    """Whether zeros stand at every other place, as those of UTF-16: a tenth there, else none."""
    if len(start) < 20:
        return False
    even, odd = start[::2].count(0), start[1::2].count(0)
    return min(even, odd) == 0 and max(even, odd) > len(start) / 20
