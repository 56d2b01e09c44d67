"""The page: one HTML file that holds its style, its script and all of its data.

Data is never markup. Small data is JSON with every `<` escaped; large data is deflated and encoded
in base64, one element per block, which the page unpacks when needed. The Content-Security-Policy
allows only this script, the workers that it makes of the page's own text, and no request.
"""

import base64
import hashlib
import html
import json
import re
import zlib
from importlib import resources

import numpy as np

WORKER = ("network.js", "worker.js")
SCRIPTS = (
    "data.js",
    "colour.js",
    "layout.js",
    "view.js",
    "units.js",
    "live.js",
    "panel.js",
    "dossier.js",
    "ask.js",
    "write.js",
    "search.js",
    "export.js",
    "link.js",
    "input.js",
    "main.js",  # last: it starts the page
)


def title(name: str, model: str) -> str:
    """The title of a page about a text and a model."""
    return f"{name} – {model}"


def page(heading: str, facts: dict, blocks: dict[str, np.ndarray]) -> bytes:
    """The page as HTML.

    facts: JSON for the script. blocks: arrays of any shape, by name (see `live.blocks`
    and `explore.with_recording`).
    """
    files = resources.files("charlens") / "explorer"
    style = (files / "page.css").read_text(encoding="utf-8")
    script, worker = (
        "".join((files / name).read_text(encoding="utf-8") for name in names)
        for names in (SCRIPTS, WORKER)
    )
    parts = {
        "title": html.escape(heading),
        "policy": policy([style], [script], "network" in facts),
        "style": style,
        "script": script,
        "worker": worker if "network" in facts else "",
        "facts": as_json(facts),
        "blocks": "\n".join(block(name, array) for name, array in blocks.items()),
    }
    return filled((files / "page.html").read_text(encoding="utf-8"), parts)


def beside(pages: list[bytes], titles: list[str], same_text: bool) -> bytes:
    """Two pages side by side in one, as HTML. same_text: whether they move through it together."""
    files = resources.files("charlens") / "explorer"
    read = {
        name: (files / name).read_text(encoding="utf-8")
        for name in ("beside.html", "beside.css", "beside.js", "page.css", *SCRIPTS)
    }
    inner = "".join(read[name] for name in SCRIPTS)  # their policy and this one must both allow it
    workers = any(b'"network":' in page for page in pages)
    parts = {
        "title": html.escape(" | ".join(titles)),
        "policy": policy(
            [read["beside.css"], read["page.css"]], [read["beside.js"], inner], workers
        ),
        "style": read["beside.css"],
        "script": read["beside.js"],
        "pages": as_json(
            {"pages": [p.decode() for p in pages], "titles": titles, "same_text": same_text}
        ),
    }
    return filled(read["beside.html"], parts)


def filled(template: str, parts: dict[str, str]) -> bytes:
    """A template with its parts; in one pass, so that inserted text is not searched for more."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template).encode()


def policy(styles: list[str], scripts: list[str], workers: bool) -> str:
    """The Content-Security-Policy: these styles and scripts alone, and no request.

    workers: whether the page makes workers of its own text.
    """

    def digest(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    allowed = [" ".join(map(digest, texts)) for texts in (styles, scripts)]
    return (
        f"default-src 'none'; style-src {allowed[0]}; script-src {allowed[1]};"
        " img-src data:; base-uri 'none'; form-action 'none'"
        f"{'; worker-src blob:' if workers else ''}"
    )


def as_json(facts: dict) -> str:
    """JSON that cannot close the element that contains it."""
    return json.dumps(facts, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def block(name: str, array: np.ndarray) -> str:
    """An array of any shape as an element of the page, packed by `pack`."""
    packed = base64.b64encode(pack(array)).decode()
    return f'<script type="text/plain" id="block-{html.escape(name)}">{packed}</script>'


def pack(array: np.ndarray) -> bytes:
    """The values of an array of any shape in C order, little-endian, deflated."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return zlib.compress(np.ascontiguousarray(little).tobytes(), 6)
