"""Blocks of docs/modern.md."""

import math
import re
from collections.abc import Callable, Iterable

import pandas as pd

from blocks.claims import effect
from blocks.common import ABSENT, MODERN, TITLES, extent, markdown, plan, published
from blocks.readme import diverged, untried
from charlens.claims import types_figure
from charlens.claims.catalog import NEWER
from charlens.report import overview
from charlens.runs import reference
from charlens.store.models import PAPER_TYPES, VARIANTS, cell_of, type_name, types_in_order
from charlens.store.tables import planned_models, reasons

OF_CODE = ("newer types close far braces", "windows lose nesting")  # claims about code alone
# units of the effects of claims about newer types, by words in their names; of others it is nats
SHARES_OF_TYPES = "use them", "spread", "have interpretable", "first resemble"
UNITS = {
    **dict.fromkeys((*SHARES_OF_TYPES, "remove errors"), "share"),
    **dict.fromkeys(("count lines", "close far", "lose nesting"), "probability"),
}


def modern(name: str) -> pd.DataFrame:
    """A published table of the run modern; empty where it has not been published yet."""
    return published(name, MODERN)


def is_bare(found: pd.DataFrame) -> pd.Series:
    """Which losses are of bare cells by the paper's recipe."""
    return (found["block"] == 0) & (found["recipe"] == "paper")


def is_in_block(found: pd.DataFrame) -> pd.Series:
    """Which losses are of cells in blocks by the paper's recipe."""
    return (found["block"] == 1) & (found["recipe"] == "paper")


def losses_of(which: Callable[[pd.DataFrame], pd.Series]) -> pd.DataFrame:
    """The losses that `is_bare` or `is_in_block` selects: columns types, rows shapes."""
    found = modern("tables/types.csv")
    found = found[which(found)]
    return found.pivot(index=["corpus", "size", "layers"], columns="type", values="loss")


def bare_losses() -> pd.DataFrame:
    return losses_of(is_bare)


def newer(types: Iterable[str]) -> list[str]:
    return [type for type in types_in_order(types) if type not in PAPER_TYPES]


def modern_verdict() -> str:
    """Whether a newer type is ahead of the GRU, and what was trained, in a sentence or two."""
    found = modern("tables/types.csv")
    if found.empty:
        return ABSENT
    losses = bare_losses()
    best = (losses[newer(losses)].min(axis=1) - losses["gru"]).dropna()
    ahead = int((best < 0).sum())
    named = plan("modern.yaml").grid.types
    failed = {key.type for key in reference.failures(reference.Publication(MODERN))}
    rest = [
        type_name(type) + " (the one tried diverged)" * (type in failed)
        for type in types_in_order(set(named) - set(found["type"]))
    ]
    sizes = sorted(set(losses.index.get_level_values("size")))
    sizes = f"{'sizes' if len(sizes) > 1 else 'size'} {' and '.join(map(str, sizes))}"
    trained = f"of the {len(best)} shapes (layers x size) that are trained"
    said = f"a newer type is ahead of the GRU in {ahead} {trained}"
    if not ahead:
        said = f"no newer type is ahead of the GRU in any {trained}"
    more = " ".join(in_blocks(found) + by_adamw(found))
    more = more or "None has been trained yet in a block or by AdamW."
    return (
        "With bare cells (without a residual block around them) of equal parameters, trained by the"
        f" paper's recipe, {sizes}, one seed each, {said}. {more}"
        + (f" Without a loss yet: {', '.join(rest)}." if rest else "")
    )  # fmt: skip


def in_blocks(found: pd.DataFrame) -> list[str]:
    """For each shape with cells in blocks, a sentence: their losses, the lowest first."""
    said, own = [], found[is_in_block(found)]
    bare = bare_losses().stack()
    for (corpus, size, layers), some in own.groupby(["corpus", "size", "layers"], sort=False):
        each = []
        for row in some.sort_values("loss").itertuples():
            before = bare.get((corpus, size, layers, row.type))
            beside = "" if before is None else f" (bare {before:.3f})"
            each.append(f"{type_name(row.type)} {row.loss:.3f}{beside}")
        where = f"{layers}x{size}"
        if own["corpus"].nunique() > 1:
            where = f"{TITLES[corpus]}, {where}"
        said.append(f"In a block ({where}), the lowest loss first: {', '.join(each)}.")
    return said


def by_adamw(found: pd.DataFrame) -> list[str]:
    """What the AdamW recipe changes, in a sentence: its loss minus that of the bare cell."""
    bare, changes = bare_losses().stack(), {}
    for row in found[found["recipe"] == "adamw"].itertuples():
        loss = bare.get((row.corpus, row.size, row.layers, row.type), math.nan)
        changes.setdefault(f"{row.type}+{types_figure.added(row)}", []).append(row.loss - loss)
    said = []
    for type in types_in_order(changes):
        known = pd.Series(changes[type]).dropna()
        said.append(type_name(type) + ("" if known.empty else f" {extent(known, '+.2f')}"))
    if not said:
        return []
    return [
        f"By AdamW (loss minus that of the bare cell by the paper's recipe): {', '.join(said)}."
    ]


def behind_lstm() -> str:
    """How far each newer type is from the LSTM of the same shape: bare, and both in a block."""
    bare, blocks, rows = bare_losses(), losses_of(is_in_block), []

    def behind(losses: pd.DataFrame, type: str) -> pd.Series:
        known = {type, "lstm"} <= {*losses}
        return (losses[type] - losses["lstm"]).dropna() if known else pd.Series(dtype=float)

    for type in newer({*bare, *blocks}):
        both = behind(bare, type), behind(blocks, type)
        said = [extent(more, "+.2f") if len(more) else "–" for more in both]
        rows.append([type_name(type), said[0], str(len(both[0])), said[1]])
    head = ["loss minus the LSTM's (nats per character): bare", "shapes", "both in a block"]
    return markdown(["type", *head], rows)


def modern_losses() -> str:
    found = modern("tables/types.csv")
    if found.empty:
        return ABSENT
    parts = []
    for corpus, own in found.groupby("corpus", sort=False):
        parts += [f"**{TITLES[corpus]}**", losses_by_shape(own)]
        bare = is_bare(own)
        for (layers, size), some in own[~bare].groupby(["layers", "size"]):
            beside = own[bare & (own["layers"] == layers) & (own["size"] == size)]
            parts += [f"With additions, {layers}x{size}:", losses_by_addition(beside, some)]
    return "\n\n".join([*parts, *trained_on_a_gpu()])


def trained_on_a_gpu() -> list[str]:
    """Which networks of `modern.yaml` with a loss a GPU has trained, in a sentence, if any."""
    publication = reference.Publication(MODERN)
    histories = publication.histories().items()
    on_gpu = {key.chosen for key, path in histories if "cuda" in set(pd.read_csv(path)["backend"])}
    failed = reference.failures(publication)
    done = [k.label for k in publication.digests() if k in on_gpu and k not in failed]
    if not done:
        return []
    return [
        f"Trained on a GPU, or partly so, with products in TF32: {', '.join(done)}. All others were"
        " trained on processors."
    ]


def losses_by_shape(found: pd.DataFrame) -> str:
    """The losses of bare cells by the paper's recipe: types down, sizes and layers across."""
    own = found[is_bare(found)]
    shapes = sorted(set(zip(own["size"], own["layers"], strict=True)))
    rows = []
    for type in types_in_order(own["type"]):
        of_type = own[own["type"] == type].set_index(["size", "layers"])
        rows.append([type_name(type), *(beside_lstm(of_type, shape) for shape in shapes)])
    head = ["type", *(f"{layers}x{size}" for size, layers in shapes)]
    return markdown(head, rows)


def losses_by_addition(bare: pd.DataFrame, added: pd.DataFrame) -> str:
    """The losses of one shape: types down, what is added across."""
    kinds = [(0, "paper"), (1, "paper"), (0, "adamw"), (1, "adamw")]
    every, rows = pd.concat([bare, added]), []
    for type in types_in_order(every["type"]):
        of_type = every[every["type"] == type].set_index(["block", "recipe"])
        rows.append([type_name(type), *(beside_lstm(of_type, kind) for kind in kinds)])
    return markdown(["type", "bare", "block", "adamw", "block+adamw"], rows)


def beside_lstm(rows: pd.DataFrame, key: tuple) -> str:
    """A loss and, in brackets, the interval of its difference from the LSTM's."""
    if key not in rows.index:
        return "–"
    row = rows.loc[key]
    between = f" ({row.low:+.3f} to {row.high:+.3f})" if row.low < row.high else ""
    return f"{row.loss:.3f}{between}"


def modern_claims() -> str:
    found, rows = modern("tables/claims.csv"), []
    if found.empty:
        return ABSENT
    found["reason"] = reasons(found)
    found[["corpus", "part"]] = found["where"].str.partition(": ")[[0, 2]]
    for claim in NEWER:
        for name in dict.fromkeys(found["corpus"]):
            own = found[(found["claim"] == claim.name) & (found["corpus"] == name)]
            if own.empty:
                of_code = claim.name in OF_CODE
                why = "needs a text of another kind" if of_code else "published before"
                rows.append([claim.says, TITLES[name], f"not tested: {why}", "", ""])
                continue
            whole = own.iloc[0]
            unit = next((UNITS[word] for word in UNITS if word in claim.name), "nats")
            reason = overview.reason(whole)
            if open_types := re.findall(r"(?:without|not looked at)\b[^;]*", whole.basis):
                reason = "; ".join(open_types)
            by_type = parts_by_type(own.iloc[1:])
            said = effect(whole.drop("reason"), unit)  # which the note says
            if "%" in said and any(word in claim.name for word in SHARES_OF_TYPES):
                types = len(set(own.iloc[1:]["part"].str.partition(": ")[0]))
                said = f"{whole.verdict}: for {round(whole.effect * types)} of {types} types"
            rows.append([claim.says, TITLES[name], said, by_type, reason])
    return markdown(["claim", "text", "found", "by type", "note"], rows)


def parts_by_type(findings: pd.DataFrame) -> str:
    """For each verdict the types that have it. Where a claim has parts for each type ("minGRU:
    memory"), those with this verdict follow in brackets; they do not where all of several have it.
    """
    said, parts = [], [part.partition(": ") for part in findings["part"]]
    findings = findings.assign(type=[p[0] for p in parts], what=[p[2] for p in parts])
    every = set(findings["what"])
    plain = {""} if len(every) == 1 else every
    for verdict, own in findings.groupby("verdict", sort=False):
        types = [
            type if set(whats) == plain else f"{type} ({', '.join(whats)})"
            for type, whats in own.groupby("type", sort=False)["what"]
        ]
        said.append(f"{verdict}: {', '.join(types)}")
    return "; ".join(said)


def modern_missing() -> str:
    if not MODERN.exists():
        return ABSENT
    publication, lines = reference.Publication(MODERN), []
    status = publication.status()
    keys = planned_models(status)
    finished = dict(zip(keys, status["finished"], strict=True))
    networks = [key for key in keys if key.family == "recurrent"]
    for corpus in dict.fromkeys(key.corpus for key in keys):
        lacking_of = {}  # types by what they lack
        for type in types_in_order(key.type for key in networks):
            own = [key for key in networks if (key.corpus, key.type) == (corpus, type)]
            left = [f"{key.layers}x{key.size}" for key in own if not finished[key]]
            if left:
                what = ", ".join(left) if len(left) < len(own) else "all networks"
                lacking_of.setdefault(what, []).append(type)
        lacking_of = {what: by_cell(types) for what, types in lacking_of.items()}
        lines += [
            f"- {TITLES[corpus]}, {', '.join(types)}: {what}." for what, types in lacking_of.items()
        ]
        lines += [
            f"- {TITLES[corpus]}, {key.label}: {reason}."
            for key, reason in reference.failures(publication).items()
            if key.corpus == corpus
        ]
        others = [k.name for k in keys if k.family != "recurrent" and not finished[k]]
        if others:
            lines.append(f"- {TITLES[corpus]}: {', '.join(others)}.")
    lines += [f"- {what}." for what in untried(plan("modern.yaml"), MODERN) + diverged(MODERN)]
    lines += [f"- {what}." for what in reference.lacking_of_types(MODERN, keys)]
    return "\n".join(lines) or "Nothing: every network of `modern.yaml` is trained."


def by_cell(types: list[str]) -> list[str]:
    """Names of types; one that lacks the same with every addition is said once for all of them."""
    of_cell: dict[str, list[str]] = {}
    for type in types:
        of_cell.setdefault(cell_of(type), []).append(type)
    added = {cell: [type for type in own if type != cell] for cell, own in of_cell.items()}
    every = {cell: own for cell, own in added.items() if len(own) == len(VARIANTS)}
    names = [type_name(t) for t in types if t == cell_of(t) or cell_of(t) not in every]
    if every:
        cells = ", ".join(type_name(cell) for cell in every)
        names.append(f"each addition (block, AdamW, both) to {cells}")
    return names


def modern_figure() -> str:
    """What README says of the newer types; nothing before they are published."""
    picture = "results/reference/modern/figures/types"
    if not (MODERN / "figures/types.png").exists():
        return "The losses of the newer types are not published yet."
    planned = modern("tables/status.csv")
    recurrent = planned[planned["model"].str.startswith("type~")]
    failures = reference.failures(reference.Publication(MODERN))
    diverged = sum(key.family == "recurrent" for key in failures)
    trained = recurrent["finished"].sum() - diverged
    return (
        f"{trained} of the {len(recurrent)} networks of `modern.yaml` are trained"
        f"{f' ({diverged} more diverged)' if diverged else ''}. {modern_verdict()}\n\n"
        f"{behind_lstm()}\n\n"
        f"[![Loss of each type at equal parameters]({picture}.png)]({picture}.svg)"
    )
