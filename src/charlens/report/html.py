"""What all pages share: rendering of templates, grids of numbers, and the note about a corpus.

Markup and prose are in templates/*.jinja; Python computes the values.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import pandas as pd

from charlens.report import templates
from charlens.store.models import VARIANTS, cell_of, type_name, types_in_order
from charlens.store.tables import MODELS

PAPER_BYTES = {"wp": 3_258_246, "lk": 6_206_996}


def render(template: str, **values) -> str:
    """The self-contained HTML page that templates/<template>.jinja makes of these values.

    Values are escaped. Raises jinja2.UndefinedError where one is missing.
    """
    return ENVIRONMENT.get_template(f"{template}.jinja").render(values)


def anchor(claim: str) -> str:
    """The id of a claim's section on the page of claims."""
    return "".join(letter if letter.isalnum() else "-" for letter in claim.lower())


def source_note(corpus: dict) -> str:
    """Which text a corpus is. Where it is not the paper's, the note says that losses on it are not
    comparable with the paper's."""
    note = f"Text: {corpus['source']} ({corpus['bytes']:,} bytes, {corpus['symbols']} symbols)."
    paper = PAPER_BYTES.get(corpus["corpus"], corpus["bytes"])
    if corpus["bytes"] != paper:
        note += (
            f" This is not the paper’s text ({paper:,} bytes), to which the paper’s numbers belong."
        )
    return note


ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(templates.__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
ENVIRONMENT.filters["source_note"] = source_note


# ---- grids ----


@dataclass(frozen=True)
class Entry:
    """An entry of a grid: its text, lines in small print below it, emphasis, background."""

    text: str = "–"
    lines: list[str] = field(default_factory=list)
    best: bool = False
    colour: str | None = None  # as CSS writes it


@dataclass(frozen=True)
class Grid:
    """A table of entries: each row is its heading and one entry per column."""

    caption: str
    corner: str  # heading of the first column
    columns: list[str]
    rows: list[tuple[str, list[Entry]]]
    groups: list[tuple[str, int]] = field(default_factory=list)  # heading, columns below it

    @property
    def starts(self) -> set[int]:
        """The columns with which a group starts."""
        return {sum(span for _, span in self.groups[:i]) for i in range(len(self.groups))}


def grid_of_networks(
    caption: str, table: pd.DataFrame, entry: Callable[[pd.DataFrame], Entry]
) -> Grid:
    """Sizes down, types and layers across, as in the paper's table 1.

    entry: makes an Entry from the rows of a grid entry (columns type, layers, size; one per seed).
    """
    groups = dict(iter(table.groupby(["size", "type", "layers"])))
    layers = {
        type: sorted(set(table[table["type"] == type]["layers"]))
        for type in types_in_order(table["type"])
    }
    columns = [(type, k) for type, depths in layers.items() for k in depths]
    rows = [
        (
            str(size),
            [
                entry(groups[size, type, k]) if (size, type, k) in groups else Entry()
                for type, k in columns
            ],
        )
        for size in sorted(set(table["size"]))
    ]
    spans = [(type_name(type), len(depths)) for type, depths in layers.items()]
    return Grid(caption, "Size / layers", [str(k) for _, k in columns], rows, spans)


def grid_of_variants(
    caption: str, table: pd.DataFrame, entry: Callable[[pd.DataFrame], Entry]
) -> Grid:
    """Cell types down, what is added to them across, at each shape that has additions.

    entry: as in `grid_of_networks`.
    """
    groups = dict(iter(table.groupby(["layers", "size", "type"])))
    shapes = sorted({key[:2] for key in groups if "+" in key[2]})
    columns = [(shape, added) for shape in shapes for added in ("", *VARIANTS)]
    rows = []
    for cell in dict.fromkeys(cell_of(type) for type in types_in_order(table["type"])):
        keys = [(*shape, f"{cell}+{added}" if added else cell) for shape, added in columns]
        entries = [entry(groups[key]) if key in groups else Entry() for key in keys]
        rows.append((type_name(cell), entries))
    spans = [(f"{layers}x{size}", 1 + len(VARIANTS)) for layers, size in shapes]
    return Grid(caption, "Type", [added or "bare" for _, added in columns], rows, spans)


def grid_of_contexts(
    caption: str, table: pd.DataFrame, entry: Callable[[pd.DataFrame], Entry]
) -> Grid:
    """Models down, n across, as in the paper's table 2.

    entry: makes an Entry from the rows of a model (columns model, n; one per seed).
    """
    groups = dict(iter(table.groupby(["model", "n"])))
    contexts = sorted(set(table["n"]))
    rows = [
        (model, [entry(groups[model, n]) if (model, n) in groups else Entry() for n in contexts])
        for model in MODELS.values()
        if model in set(table["model"])
    ]
    return Grid(caption, "n", [str(n) for n in contexts], rows)


# ---- numbers in words ----


def signed(difference: float) -> str:
    """A difference with its sign, three digits and a real minus sign."""
    text = f"{difference:+.3f}"
    return "±0" if float(text) == 0 else text.replace("-", "−")


def file_size(size: int) -> str:
    """Bytes, with three digits: 33.3 kB, 1.77 MB, 2.11 GB."""
    for unit, name in ((1e3, "kB"), (1e6, "MB")):
        if size < 999.5 * unit:
            return f"{size / unit:.3g} {name}"
    return f"{size / 1e9:.3g} GB"
