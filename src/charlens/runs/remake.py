"""The tables and figures of a publication that are made from losses, by the verbs of the workflow.

`charlens publish` makes them from score arrays, `charlens merge` from digests; `out` is the folder
of the publication (`charlens.runs.reference`).
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from charlens.errors import InputError
from charlens.runs.schema import Bootstrap, Claims, Tsne
from charlens.runs.settings import arguments
from charlens.store.models import PAPER_TYPES, ModelKey, cell_of, is_reshuffled, original, twin
from charlens.store.tables import paper_table, read_table


def verb(name: str, *arguments: object) -> None:
    """Run `charlens <name>` as the rules do, in a process of its own (some verbs are in packages
    that import this one). Raises InputError with its message where it fails."""
    print(f"charlens {name}", flush=True)
    command = [sys.executable, "-m", "charlens.cli", name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise InputError(f"charlens {name}: {last.removeprefix('charlens: error: ')}")


def images(out: Path, name: str) -> list[Path]:
    """The files of a figure."""
    return [out / f"figures/{name}.png", out / f"figures/{name}.svg"]


def existing(*paths: Path) -> list[Path]:
    """Those of the paths that exist."""
    return [path for path in paths if path.exists()]


def loss_tables(
    out: Path, scores: Mapping[ModelKey, Path], infos: Sequence[Path], bootstrap: Bootstrap
) -> None:
    """Tables 1 and 2, for the corpora with models in them. infos: provenance of the corpora."""
    for name, families in (("table1", ("recurrent",)), ("table2", ("ngram", "nn"))):
        corpora = {info.stem: info for info in infos}
        own = {k: p for k, p in scores.items() if k.family in families and k.corpus in corpora}
        known = {key.corpus for key in own}
        if own:
            verb(
                name, "--scores", *own.values(),
                "--corpora", *(info for corpus, info in corpora.items() if corpus in known),
                *arguments(bootstrap),
                "--csv", out / f"tables/{name}.csv", "--html", out / f"tables/{name}.html",
            )  # fmt: skip


def comparison(out: Path, infos: Sequence[Path]) -> None:
    """Tables 1 and 2 and figures 5 and 6 beside the paper's numbers, for its corpora."""
    known = {*paper_table(1)["corpus"], *paper_table(2)["corpus"]}
    infos = [info for info in infos if info.stem in known]
    tables = existing(out / "tables/table1.csv", out / "tables/table2.csv")
    figures = existing(out / "figures/figure5.csv", out / "figures/figure6.csv")
    comparable = ["loss", "paper"]  # a network that diverged has no loss
    if infos and any(len(read_table(path, comparable)[comparable].dropna()) for path in tables):
        verb(
            "compare", *(word for path in tables + figures for word in (f"--{path.stem}", path)),
            "--corpora", *infos, "--csv", out / "tables/comparison.csv",
            "--text-csv", out / "tables/paper_text.csv",
            "--summary-csv", out / "tables/agreement.csv",
            "--html", out / "tables/comparison.html", "--out", *images(out, "comparison"),
        )  # fmt: skip


def split_table(
    out: Path,
    scores: Mapping[ModelKey, Path],
    splits: Mapping[str, Path],
    infos: Sequence[Path],
    resampling: Claims,
) -> None:
    """What the paper's split is worth: the models scored under both split layouts, for corpora with
    an n-gram model among them; and all networks of these corpora, to see the effect of a seed."""
    both, corpora = {}, set()
    for key, path in scores.items():
        other = replace(key, corpus=twin(key.corpus))
        if other in scores and key.family != "nn":
            both |= {key: path, other: scores[other]}
            corpora |= {key.corpus} if key.family == "ngram" else set()
    infos = [info for info in infos if info.stem in corpora]
    names = [name for info in infos for name in (info.stem, twin(info.stem))]
    own = [info.stem for info in infos]
    both |= {key: p for key, p in scores.items() if key.corpus in own and key.family == "recurrent"}
    if infos:
        verb(
            "contiguous-split", "--scores", *(p for key, p in both.items() if key.corpus in names),
            "--splits", *(splits[name] for name in names), "--corpora", *infos,
            *arguments(resampling.model_dump(include={"resamples", "seed"})),
            "--csv", out / "tables/plain_cut.csv", "--html", out / "tables/plain_cut.html",
        )  # fmt: skip


def reshuffles(out: Path, scores: Mapping[ModelKey, Path], infos: Sequence[Path]) -> None:
    """Losses on other orders of a corpus's files, for the models scored on such an order.

    infos: provenance of the corpora, beside that of the reshuffled ones.
    """
    shuffled = [key for key in scores if is_reshuffled(key.corpus)]
    corpora = {key.corpus for key in shuffled} | {original(key.corpus) for key in shuffled}
    own = {replace(key, corpus=original(key.corpus)) for key in shuffled}
    paths = [path for key, path in scores.items() if key in own or key in shuffled]
    if shuffled:
        verb(
            "reshuffles", "--scores", *paths,
            "--corpora", *(infos[0].with_name(f"{corpus}.json") for corpus in sorted(corpora)),
            "--csv", out / "tables/reshuffles.csv",
        )  # fmt: skip


def discrepancies(out: Path, infos: Sequence[Path]) -> None:
    """What is far from the paper's tables, from tables 1 and 2 and the histories in `out`."""
    names = {info.stem for info in infos}
    tables = existing(out / "tables/table1.csv", out / "tables/table2.csv")
    shuffled = existing(out / "tables/reshuffles.csv")
    histories = [
        p for name in sorted(names) for p in sorted(out.glob(f"histories/{name}/**/*.csv"))
    ]
    if tables:
        verb(
            "discrepancies", *(word for path in tables for word in (f"--{path.stem}", path)),
            "--histories", *histories, "--reshuffles", *shuffled, "--corpora", *infos,
            "--csv", out / "tables/discrepancies.csv",
            "--shuffles-csv", out / "tables/shuffle_offsets.csv",
            "--html", out / "tables/discrepancies.html",
        )  # fmt: skip


def figure1(out: Path, scores: Mapping[ModelKey, Path], infos: Sequence[Path], tsne: Tsne) -> None:
    """Figure 1: the t-SNE map of the recurrent networks."""
    corpora = {key.corpus for key in scores if key.family == "recurrent"}
    infos = [info for info in infos if info.stem in corpora]
    names = {info.stem for info in infos}
    if infos:
        own = [p for k, p in scores.items() if k.family == "recurrent" and k.corpus in names]
        verb(
            "figure1", "--scores", *own, "--corpora", *infos, *arguments(tsne),
            "--out", *images(out, "figure1"), "--csv", out / "figures/figure1.csv",
        )  # fmt: skip


def figure3(out: Path, infos: Sequence[Path]) -> None:
    """Figure 3: the saturation of gates, from tables/gates.csv."""
    gates = out / "tables/gates.csv"
    verb("figure3", "--gates", gates, "--corpora", *infos, "--out", *images(out, "figure3"))


def ablation(
    out: Path,
    found: Sequence[Path],
    effects: Sequence[Path],
    infos: Sequence[Path],
    figures: Path | None = None,
) -> None:
    """Table and figure of what clamped units change, from what `charlens ablate` wrote.

    figures: the folder of the figure, figures/ unless stated.
    """
    figures = figures or out / "figures"
    verb(
        "ablation", "--found", *found, "--effects", *effects, "--corpora", *infos,
        "--csv", out / "tables/ablation.csv", "--effects-csv", figures / "ablation.csv",
        "--out", figures / "ablation.png", figures / "ablation.svg",
    )  # fmt: skip


def types(
    out: Path,
    scores: Mapping[ModelKey, Path],
    splits: Mapping[str, Path],
    infos: Sequence[Path],
    resampling: Claims,
) -> None:
    """The losses of types at equal parameters, for corpora with a type that the paper lacks, and
    what types lack themselves."""
    networks = {key: path for key, path in scores.items() if key.family == "recurrent"}
    newer = {key.corpus for key in networks if cell_of(key.type) not in PAPER_TYPES}
    infos = [info for info in infos if info.stem in newer]
    if infos:
        verb(
            "types", "--scores", *(p for key, p in networks.items() if key.corpus in newer),
            "--splits", *(splits[info.stem] for info in infos), "--corpora", *infos,
            *arguments(resampling),
            "--out", *images(out, "types"), "--csv", out / "tables/types.csv",
        )  # fmt: skip
        own = dict.fromkeys(key.type for key in networks)
        verb("left-out", "--types", *own, "--out", out / "tables/left_out.csv")


def emergence(out: Path, measures: Sequence[Path], infos: Sequence[Path]) -> None:
    """When skills and units appear: table, page and figure from the measures of networks, of which
    later files count. infos: provenance of their corpora."""
    if measures:
        verb(
            "emergence-table", *measures, "--corpora", *infos,
            "--csv", out / "tables/emergence.csv", "--html", out / "tables/emergence.html",
            "--out", *images(out, "emergence"),
        )  # fmt: skip


def inside_table(out: Path, networks: Sequence[Path], infos: Sequence[Path]) -> None:
    """Units and gates of all networks, from what was measured of each, or from tables of some."""
    hypotheses = out / "tables/hypotheses.csv"
    best = ["--best", hypotheses] if hypotheses.exists() else []
    verb(
        "inside-table", "--networks", *networks, *best, "--corpora", *infos,
        "--csv", out / "tables/inside.csv", "--html", out / "tables/inside.html",
    )  # fmt: skip


def claims(
    out: Path,
    scores: Mapping[ModelKey, Path],
    splits: Mapping[str, Path],
    infos: Sequence[Path],
    more: Sequence[object],
    resampling: Claims,
) -> None:
    """Tests of the paper's conclusions on the corpora with scores. more: further arguments."""
    scored = {key.corpus for key in scores}
    infos = [info for info in infos if info.stem in scored]
    names = [info.stem for info in infos]
    tables = ("gates", "cells", "hypotheses", "ablation", "probes", "inside")
    inside = [f"tables/{table}.csv" for table in tables]
    of_types = [
        path
        for table in ("tables/hypotheses", "tables/ablation", "tables/probes", "figure5/*")
        for path in sorted(out.glob(f"types/*/{table}.csv"))
    ]
    found = (sorted(out.glob(f"histories/{name}/nn/**/history.csv")) for name in names)
    histories = [path for paths in found for path in paths]
    verb(
        "claims", "--scores", *(p for key, p in scores.items() if key.corpus in names),
        "--splits", *(splits[info.stem] for info in infos), "--corpora", *infos, *more,
        "--inside", *existing(*(out / name for name in (*inside, "figures/figure6.csv"))),
        "--trajectory", *existing(*(out / f"figure5/{info.stem}.csv" for info in infos)),
        "--of-types", *of_types,
        "--histories", *histories,
        "--status", out / "tables/status.csv", *arguments(resampling),
        "--csv", out / "tables/claims.csv", "--html", out / "tables/claims.html",
        "--sums-csv", out / "tables/claim_sums.csv",
    )  # fmt: skip
