"""Downloads: to disk, within limits of size and time, with retries, progress and a cache."""

import contextlib
import hashlib
import http.client
import sys
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from charlens.data.checks import Unavailable
from charlens.files import atomic

TRIES = 3
BACKOFF = 1.0  # seconds before the second attempt, doubled before each further one
TIMEOUT = 30.0  # seconds without any data
SLOWEST = 1000.0  # bytes per second, on average over WINDOW seconds
WINDOW = 60.0
PROGRESS = 5.0  # seconds between two progress lines
BLOCK = 1 << 16  # bytes
RETRIED = (408, 429, 500, 502, 503, 504)  # statuses that may be temporary


@dataclass(frozen=True)
class Limits:
    """What a download may be: its largest size in bytes, and whether plain http is allowed."""

    size: int = 1_000_000_000
    http: bool = False


def cached(url: str, cache: Path, read: Callable[[Path], bytes], limits: Limits) -> bytes:
    """Apply `read` to the file at `url`, which is downloaded unless the folder `cache` holds it.

    The file stays in the cache unless `read` fails; a cached file is then downloaded again. Raises
    Unavailable if the download fails or `read` rejects the new file.
    """
    key = hashlib.sha256(url.encode()).hexdigest()[:8]
    path = cache / f"{key}-{base_name(url)[-100:]}"
    if path.is_file():
        with contextlib.suppress(Unavailable):
            return read(path)
    download(url, path, limits)
    try:
        return read(path)
    except BaseException:
        path.unlink()
        raise


def download(url: str, path: Path, limits: Limits) -> None:
    """Download `url` to `path`, atomically.

    There are up to TRIES attempts, BACKOFF seconds apart at first and twice as long each time. A
    permanent failure (HTTP 404, say) is not retried. Raises Unavailable with the last reason.
    """
    import requests
    import urllib3

    if url.startswith("http://") and not limits.http:
        raise Unavailable(f"plain http ({url}): use https, or allow it with allow_http: true")
    for attempt in range(TRIES):
        if attempt:
            time.sleep(BACKOFF * 2 ** (attempt - 1))
        try:
            with requests.Session() as session:
                if not limits.http:  # a redirect from https, too
                    del session.adapters["http://"]
                with session.get(url, stream=True, timeout=TIMEOUT) as answer:
                    answer.raise_for_status()
                    _receive(answer, path, limits)
            return
        except requests.HTTPError as error:
            status = error.response.status_code
            reason = f"HTTP {status} {error.response.reason}"
            if status not in RETRIED:
                break
        except requests.exceptions.InvalidSchema as error:
            reason = f"not an https address: {str(error).rpartition(' for ')[2]}"
            break
        except (OSError, urllib3.exceptions.HTTPError, ValueError) as error:
            reason = _in_words(error)
    raise Unavailable(f"{reason} ({url})")


def _in_words(error: Exception) -> str:
    """The innermost reason of a failed connection."""
    while not isinstance(error, http.client.IncompleteRead):
        inner = getattr(error, "reason", None) or error.__context__
        if not isinstance(inner, Exception):
            break
        error = inner
    if isinstance(error, http.client.IncompleteRead) and isinstance(error.partial, int):
        return f"truncated at {error.partial:,} of {error.partial + error.expected:,} bytes"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _receive(answer, path: Path, limits: Limits) -> None:
    """Write the body of an answer to `path` while it arrives.

    Raises Unavailable where it is larger than allowed, ConnectionError where it is cut off or too
    slow.
    """
    encoded = "Content-Encoding" in answer.headers  # then the length is that of the encoded body
    length = 0 if encoded else int(answer.headers.get("Content-Length") or 0)
    too_large = f"larger than the {limits.size:,} bytes that are stated or allowed"
    if length > limits.size:
        raise Unavailable(too_large)
    size = f"{length / 1e6:.1f} MB" if length else "an unknown size"
    received, shown = 0, time.monotonic()
    marked, at_mark = shown, 0  # of the speed
    with atomic(path) as temporary, open(temporary, "wb") as file:
        while block := answer.raw.read1(BLOCK, decode_content=True):
            received += file.write(block)
            now = time.monotonic()
            if received > limits.size:
                raise Unavailable(too_large)
            if now - shown >= PROGRESS:
                shown = now
                print(f"{path.name}: {received / 1e6:.1f} MB of {size}", file=sys.stderr)
            if now - marked >= WINDOW:
                if received - at_mark < SLOWEST * (now - marked):
                    raise ConnectionError(f"slower than {SLOWEST:,.0f} bytes a second")
                marked, at_mark = now, received


def base_name(address: str) -> str:
    """The file name at the end of a URL or path."""
    return PurePosixPath(urllib.parse.urlsplit(address).path).name
