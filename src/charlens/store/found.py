"""What was found inside the networks, as `charlens cells` writes it."""

from charlens.store.corpora import by_stem
from charlens.store.reading import read_json, require


def model_name(found: dict) -> str:
    """The model that was searched: 2-layer LSTM 128."""
    return f"{found['layers']}-layer {found['type'].upper()} {found['size'] or found['hidden']}"


def read_found(paths, corpora) -> dict[str, dict]:
    """What `charlens cells` wrote for each corpus."""
    files = by_stem(paths, corpora, "search")
    found = {corpus: read_json(path) for corpus, path in files.items()}
    for corpus, content in found.items():
        needed = ("model", "type", "layers", "size", "samples", "shifts", "hypotheses", "passages")
        require(content, needed, files[corpus])
    return found


def number(value: float) -> str:
    """With three digits and a real minus sign."""
    return f"{value:.3f}".replace("-", "−")
