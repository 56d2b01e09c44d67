"""Blocks of docs/results.md about figures and errors."""

import re

import pandas as pd

from blocks.common import ROOT, TITLES, markdown, published, table
from charlens.store.models import PAPER_TYPES, type_name

FIGURES = "../results/reference/figures"  # from a page of docs/


def errors_by_size() -> str:
    """Of the errors that the largest networks of a type no longer make, the share per category."""
    found, rows = published("tables/errors.csv"), []
    # figure 6 has the LSTMs of one depth, also of a corpus whose other scores are elsewhere
    sums = ["corpus", "type", "layers", "size", "category"]
    lstms = table("figures/figure6.csv").assign(type="lstm")
    lstms = lstms.groupby(sums, sort=False)["errors"].sum().reset_index()
    known = set() if found.empty else set(found["corpus"])
    found = pd.concat([found, lstms[~lstms["corpus"].isin(known)]])
    categories = list(dict.fromkeys(found["category"]))
    lacking = {corpus: list(PAPER_TYPES) for corpus in TITLES}
    for (corpus, type, layers), own in found.groupby(["corpus", "type", "layers"], sort=False):
        means = own.groupby(["size", "category"])["errors"].mean().unstack()
        if corpus not in TITLES or len(means) < 2:
            continue
        fewer, ends = means.iloc[0] - means.iloc[-1], f"{means.index[0]} to {means.index[-1]}"
        rows.append([TITLES[corpus], f"{type_name(type)}, {layers}", ends, f"{fewer.sum():,.0f}",
                     *(f"{fewer[c] / fewer.sum():.0%}" for c in categories)])  # fmt: skip
        if type in lacking[corpus]:
            lacking[corpus].remove(type)
    head = ["corpus", "type, layers", "size", "fewer errors", *categories]
    left = [
        f"{TITLES[corpus]}, {', '.join(map(type_name, types))}"
        for corpus, types in lacking.items()
        if types
    ]
    missing = f"\n\nNot published yet: {'; '.join(left)}." if left else ""
    return markdown(head, rows) + missing


def picture(name: str, says: str) -> str:
    """A published figure."""
    return f"[![{says}]({FIGURES}/{name}.png)]({FIGURES}/{name}.svg)"


def caption(name: str) -> str:
    """The caption of a figure, which is that of the run's report."""
    text = (ROOT / f"workflow/report/{name}.rst").read_text()
    controls = int(table("tables/ablation.csv")["controls"].max())
    text = re.sub(r"{{.*?controls.*?}}", str(controls), text, flags=re.DOTALL)
    return text.replace("``", "`").strip()


def figure(name: str, says: str) -> str:
    """A published figure with its caption."""
    return f"{picture(name, says)}\n\n{caption(name)}"


def figures() -> str:
    """Figures 1 to 6, as the paper numbers them."""
    shown = {
        "figure1": "Figure 1: t-SNE of the networks",
        "figure2": "Figure 2: units and what they follow",
        "figure3": "Figure 3: saturation of gates",
        "figure4": "Figure 4: the LSTM against n-grams",
        "figure5": "Figure 5: braces by distance, and an LSTM in its first epochs",
        "figure6": "Figure 6: errors removed by oracles",
    }
    parts = []
    for name, says in shown.items():
        pictures = {name: says}
        if name == "figure2":  # one for each corpus
            pictures = {f"{name}-{corpus}": f"{says}, {text}" for corpus, text in TITLES.items()}
        shows = "\n\n".join(picture(*each) for each in pictures.items())
        parts.append(f"### {says}\n\n{shows}\n\n{caption(name)}")
    return "\n\n".join(parts)


def definitions() -> str:
    found, rows = published("figures/figure6_definitions.csv"), []
    if found.empty:
        return "Not published yet: this needs the score arrays of a whole run."
    for (corpus, definition), own in found.groupby(["corpus", "definition"], sort=False):
        shares = own.set_index("category")["share"]
        rows.append([TITLES[corpus], definition, *(f"{share:.1%}" for share in shares)])
    return markdown(["corpus", "definition", *shares.index], rows)
