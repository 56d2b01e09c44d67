"""The page itself: one HTML file that holds its style, its script and all of its data.

Data is never markup. Small data is JSON with every `<` escaped; large data is deflated and in
base64, one element per block, which the page unpacks when it needs it. The Content-Security-Policy
allows only the script that is here, and no request.
"""

import base64
import hashlib
import html
import json
import re
import zlib
from importlib import resources

import numpy as np

SCRIPTS = (
    "data.js",
    "colour.js",
    "layout.js",
    "view.js",
    "units.js",
    "search.js",
    "link.js",
    "input.js",
    "main.js",  # last: it starts the page
)


def page(title: str, facts: dict, blocks: dict[str, np.ndarray]) -> bytes:
    """The page: `facts` as JSON for the script, and arrays by name, little-endian."""
    files = resources.files("charlens") / "explorer"
    style = (files / "page.css").read_text()
    script = "".join((files / name).read_text() for name in SCRIPTS)
    parts = {
        "title": html.escape(title),
        "policy": policy(style, script),
        "style": style,
        "script": script,
        "facts": as_json(facts),
        "blocks": "\n".join(block(name, array) for name, array in blocks.items()),
    }
    # in one pass: inserted text is not searched for placeholders
    template = (files / "page.html").read_text()
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template).encode()


def policy(style: str, script: str) -> str:
    """Only this style and this script, and no request of any kind."""

    def digest(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    return (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)};"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )


def as_json(facts: dict) -> str:
    """JSON that cannot end the element that it stands in."""
    return json.dumps(facts, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def block(name: str, array: np.ndarray) -> str:
    """An array as an element of the page, see `pack`."""
    packed = base64.b64encode(pack(array)).decode()
    return f'<script type="text/plain" id="block-{html.escape(name)}">{packed}</script>'


def pack(array: np.ndarray) -> bytes:
    """The array's values, little-endian, deflated."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return zlib.compress(np.ascontiguousarray(little).tobytes(), 6)
