"""Downloads: retry with back-off, progress, and a cache of downloaded files."""

import contextlib
import hashlib
import http.client
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from charlens.data.checks import Unavailable
from charlens.files import atomic

TRIES = 3
BACKOFF = 1.0  # seconds before the second attempt, doubled before each further one
TIMEOUT = 30.0  # seconds without any data
PROGRESS = 5.0  # seconds between two progress lines


def cached(url: str, cache: Path, read: Callable[[Path], bytes]) -> bytes:
    """Apply `read` to the file at `url`, which is downloaded unless the folder `cache` holds it.

    The file stays in the cache unless `read` raises Unavailable for it; a cached file is then
    downloaded again. Raises Unavailable if the download fails or `read` rejects the new file.
    """
    key = hashlib.sha256(url.encode()).hexdigest()[:8]
    path = cache / f"{key}-{base_name(url)}"
    if path.is_file():
        with contextlib.suppress(Unavailable):
            return read(path)
    download(url, path)
    try:
        return read(path)
    except Unavailable:
        path.unlink()
        raise


def download(url: str, path: Path) -> None:
    """Download `url` to `path`, atomically.

    There are up to TRIES attempts, BACKOFF seconds apart at first and twice as long each time. A
    permanent failure (HTTP 404, say) is not retried. Raises Unavailable with the last reason.
    """
    for attempt in range(TRIES):
        if attempt:
            time.sleep(BACKOFF * 2 ** (attempt - 1))
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "charlens"})
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                _receive(answer, path)
            return
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code} {error.reason}"
            if error.code < 500 and error.code not in (408, 429):
                break  # a retry would change nothing
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
    raise Unavailable(f"{reason} ({url})")


def _receive(answer: http.client.HTTPResponse, path: Path) -> None:
    length = int(answer.headers.get("Content-Length") or 0)
    size = f"{length / 1e6:.1f} MB" if length else "an unknown size"
    received = 0
    shown = time.monotonic()
    with atomic(path) as temporary:
        with open(temporary, "wb") as file:
            while block := answer.read(1 << 16):
                received += file.write(block)
                if time.monotonic() - shown >= PROGRESS:
                    shown = time.monotonic()
                    print(f"{path.name}: {received / 1e6:.1f} MB of {size}", file=sys.stderr)
        # Reading in blocks ends without an error if the connection breaks.
        if length and received != length:
            raise ConnectionError(f"truncated at {received:,} of {length:,} bytes")


def base_name(address: str) -> str:
    """The file name at the end of a URL or path."""
    return PurePosixPath(urllib.parse.urlsplit(address).path).name
