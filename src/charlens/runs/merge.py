"""`charlens merge`: join what two machines published of one run.

The result has the models of both publications. Where both have a model, the candidate with the
lower validation loss is the chosen one. What is made from losses is made again, from the digests of
all models. What needs score arrays or the networks themselves is taken, corpus by corpus, from the
publication that `Join.source` chooses.
"""

import argparse
import csv
import io
import shutil
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import escape

from charlens.errors import InputError
from charlens.files import write_atomically, write_csv
from charlens.networks import model_file
from charlens.networks.version import version_of
from charlens.report import errors_by_size, figure6, plots
from charlens.runs import model_cards, redraw, reference, remake
from charlens.runs.reference import Publication, copy
from charlens.store import models
from charlens.store.corpora import read_corpora
from charlens.store.models import ModelKey, original, twin
from charlens.store.reading import read_json, require
from charlens.store.tables import read_table
from charlens.text import line_ends, symbols

# Tables whose rows about a corpus are about networks of one machine: its best LSTM, or (True) the
# best LSTM of the paper's depth. The first column is the corpus.
NETWORK_TABLES = {
    "tables/cells.csv": False,
    "tables/hypotheses.csv": False,
    "tables/explained.csv": False,
    "tables/probes.csv": False,
    "tables/gates.csv": True,
    "tables/ablation.csv": False,
    "figures/ablation.csv": False,
    "figures/figure4.csv": True,
    "figures/figure5.csv": True,
    "figures/figure6.csv": False,
    "figures/figure6_definitions.csv": False,
}
UNIT_TABLES = [name for name in NETWORK_TABLES if name.startswith("tables/")]
MADE = ("tables", "figures", "figure5")  # folders taken as they are from a complete publication


def merge(published: Path, other: Path) -> list[Path]:
    """Join `other` into `published`. Whenever this is stopped, `published` is complete, old or new.
    Returns its files.

    Raises InputError where one of them is no publication, or where they were made differently."""
    reference.restore(published)
    for folder in (published, other):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; name one that charlens publish made")
    if published.resolve() == other.resolve():
        raise InputError(f"{other}: the same publication twice")
    reference.check_comparable(published, Publication(other).settings(), other)
    reference.check_texts(published, other)
    for folder in (published, other):
        for path in Publication(folder).files("**/*.csv"):
            read_table(path)  # rows are copied as text: a table that was cut is refused here
    work = published.with_name(f".{published.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    try:
        join(published, other, work / "joined")
        reference.replace(published, work / "joined")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Publication(published).files("**/*")


def join(first: Path, second: Path, out: Path) -> None:
    """Make in `out` the union of two publications. Of equals `second` is taken."""
    joined = Join(Publication(first), Publication(second), out)
    joined.copy_models()
    joined.take_types()
    if whole := joined.whole():
        for folder in MADE:
            for path in whole.files(f"{folder}/*"):
                copy(path, out / whole.below(path))
    else:
        joined.take_tables()
        joined.join_inside()
        joined.draw_figures()
        joined.analyse()
    joined.join_emergence()
    reference.write_status(out, joined.planned)
    reference.describe(out)
    model_cards.write(out)


class Join:
    """Joins two publications in `out`."""

    def __init__(self, first: Publication, second: Publication, out: Path):
        self.publications, self.out = (second, first), out
        self.digests = {p.folder: p.digests() for p in self.publications}
        self.about = {
            path: reference.read_digest(path)
            for digests in self.digests.values()
            for path in digests.values()
        }
        check_versions(self.about)
        self.taken = lowest(self.digests.values(), lambda path: models.rank(self.about[path]))
        self.settings = joined_settings(first.settings(), second.settings())
        # as `second` records it; a publication by an older version does not
        self.analysis = (second if "analysis" in second.settings() else first).analysis()

    @cached_property
    def planned(self) -> list[ModelKey]:
        """The models planned in either publication."""
        rows = [row for p in reversed(self.publications) for row in p.status().itertuples()]
        return list(dict.fromkeys(ModelKey.from_table(row.corpus, row.model) for row in rows))

    def infos(self) -> list[Path]:
        """The provenance of the corpora."""
        return Publication(self.out).corpora()

    # ---- models ----

    def copy_models(self) -> None:
        """Digests, histories, provenance, measurements, and networks in half precision."""
        reference.write_settings(self.out, self.settings)
        for path in self.taken.values():
            self.copy_below(path)
        histories = (publication.histories() for publication in self.publications)

        def val_loss(path: Path) -> float:
            return read_table(path, ["val_loss"], "history")["val_loss"].min()

        for path in lowest(histories, val_loss).values():
            self.copy_below(path)
        for publication in reversed(self.publications):
            for path in publication.files("corpora/*.json"):
                self.copy_below(path)
            for path in publication.files("bench/*.csv"):
                known = self.out / publication.below(path)
                if not known.exists() or lines(path) >= lines(known):
                    copy(path, known)
        files = [p for pub in self.publications for p in pub.files("models/*.safetensors")]
        about = {path: model_file.about(path) for path in files}
        for corpus, type in sorted({(a["corpus"], a["type"]) for a in about.values()}):
            own = [p for p in files if (about[p]["corpus"], about[p]["type"]) == (corpus, type)]
            best = models.best(own, about.get)
            deep = models.best(own, about.get, type, paper_depth=True)
            copy(best, self.out / f"models/{corpus}-{type}.safetensors")
            if reference.of_model(about[deep]) != reference.of_model(about[best]):
                copy(deep, self.out / f"models/{corpus}-{type}-deepest.safetensors")

    def copy_below(self, path: Path) -> None:
        """Copy a file of one of the publications to the same place in `out`."""
        [publication] = [p for p in self.publications if path.is_relative_to(p.folder)]
        copy(path, self.out / publication.below(path))

    def whole(self) -> Publication | None:
        """The publication that has all models of the result and every table and figure of the
        other, if one of them does: then nothing needs to be made again."""
        made = {
            publication.folder: {
                publication.below(path) for f in MADE for path in publication.files(f"{f}/*")
            }
            for publication in self.publications
        }
        for publication in self.publications:
            complete = all(self.holds(publication, key) for key in self.taken)
            if complete and all(names <= made[publication.folder] for names in made.values()):
                return publication
        return None

    # ---- tables and figures about single networks ----

    def source(self, corpus: str, name: str, deep: bool) -> Publication | None:
        """The rule for what cannot be made again: take a corpus from the publication of its best
        LSTM (deep: of the paper's depth). If both have that network, from the one whose file
        `name` has more about the corpus; if that one has nothing, from the other."""
        lstms = [k for k in self.taken if (k.corpus, k.type) == (corpus, "lstm")]
        best = None
        if lstms:
            best = models.best(lstms, lambda k: self.about[self.taken[k]], "lstm", deep)

        def rank(publication: Publication) -> tuple[bool, bool, int]:
            size = size_of(publication, name, corpus)
            return size > 0, self.holds(publication, best), size

        found = max(self.publications, key=rank)
        return found if rank(found)[0] else None

    def holds(self, publication: Publication, key: ModelKey | None) -> bool:
        """Does a publication have the very network that is taken for a model?"""
        path = self.digests[publication.folder].get(key)
        return path is not None and self.about[path] == self.about[self.taken[key]]

    def take_tables(self) -> None:
        """Rows, and files named after a corpus, from the publication of its best LSTM."""
        for corpus in self.settings["corpora"]:
            files = {f"figure5/{corpus}.csv": True}
            files |= {f"figures/figure2-{corpus}.{end}": False for end in ("png", "svg")}
            for name, deep in files.items():
                if publication := self.source(corpus, name, deep):
                    copy(publication.folder / name, self.out / name)
        for name, deep in {**NETWORK_TABLES, "tables/claims.csv": False}.items():
            self.take_rows(name, self.out / name, deep)
        for publication in self.publications:  # smaller LSTMs that are scored elsewhere
            paths = self.out / "figures/figure6.csv", publication.folder / "figures/figure6.csv"
            if all(path.exists() for path in paths):
                tables = (read_table(path, figure6.COLUMNS, "figure 6") for path in paths)
                write_csv(figure6.with_published(*tables), paths[0])

    def take_types(self) -> None:
        """What is made of types other than the LSTM, of each type from the publication that has its
        best network (of more corpora), or else more of its networks."""
        made = [p.below(path) for p in self.publications for path in p.files("types/**/*")]
        for type in sorted({path.parts[1] for path in made}):
            for path in self.source_of_type(type).files(f"types/{type}/**/*"):
                self.copy_below(path)

    def source_of_type(self, type: str) -> Publication:
        """See `take_types`; of equals the one with more files."""
        used = self.settings["corpora"]
        own = [key for key in self.taken if key.type == type and key.corpus in used]
        of_corpora = [[k for k in own if k.corpus == c] for c in {k.corpus for k in own}]
        best = [models.best(keys, lambda k: self.about[self.taken[k]]) for keys in of_corpora]

        def rank(p: Publication) -> list[int]:
            files = len(p.files(f"types/{type}/**/*"))
            return [
                files > 0,
                *(sum(self.holds(p, k) for k in keys) for keys in (best, own)),
                files,
            ]

        return max(self.publications, key=rank)

    def take_rows(self, name: str, out: Path, deep: bool) -> None:
        """Write the table `name` with the rows of each corpus from its source, unchanged. A column
        that only one of the sources has (another version published it) stays empty in the rest."""
        parts = []
        for corpus in self.settings["corpora"]:
            if publication := self.source(corpus, name, deep):
                head, *every = (publication.folder / name).read_text().splitlines(keepends=True)
                parts.append((head, "".join(rows_of(head, every, corpus))))
        if len({head for head, _ in parts}) > 1:
            tables = [pd.read_csv(io.StringIO(head + rows), dtype=str) for head, rows in parts]
            write_csv(pd.concat(tables), out)
        elif parts:
            write_atomically(out, (parts[0][0] + "".join(rows for _, rows in parts)).encode())

    def join_inside(self) -> None:
        """Units and gates of all networks: the rows of each network from a publication that has the
        very network that is taken."""
        name, head, rows = "tables/inside.csv", "", {}
        for publication in self.publications:
            if (path := publication.folder / name).exists():
                head, *every = path.read_text().splitlines(keepends=True)
                of_network = {}
                for row in every:
                    of_network.setdefault(network_of(row), []).append(row)
                for key, own in of_network.items():
                    if self.holds(publication, key):
                        rows.setdefault(key, own)
        if rows:
            ordered = [row for key in self.planned for row in rows.get(key, [])]
            write_atomically(self.out / name, "".join([head, *ordered]).encode())
            if not self.copied(name, "tables/inside.html"):
                remake.inside_table(self.out, [self.out / name], self.infos())

    def draw_figures(self) -> None:
        """Figures 3 to 6, clamped units and errors by size from the numbers behind them, and the
        page about units; a figure whose numbers all come from one publication is copied."""
        infos = [p for p in self.infos() if self.says("tables/gates.csv", p.stem)]
        if infos and not self.copied("tables/gates.csv", "figures/figure3.*"):
            remake.figure3(self.out, infos)
        if not self.copied(UNIT_TABLES[0], "tables/cells.html", *UNIT_TABLES[1:]):
            self.join_page()
        for figure, draw in redraw.DRAWN.items():
            name = f"figures/{figure}.csv"
            beside = ["figure5/*.csv"] if figure == "figure5" else []
            if (self.out / name).exists() and not self.copied(
                name, f"figures/{figure}.[ps]*", *beside
            ):
                with plots.style():
                    plots.save(draw(self.out), remake.images(self.out, figure))
        self.join_errors()

    def says(self, name: str, corpus: str) -> bool:
        """Does a file of the result say anything about a corpus?"""
        return bool(size_of(Publication(self.out), name, corpus))

    def copied(self, name: str, wanted: str, *more: str) -> bool:
        """Copy the files `wanted` from a publication with the same numbers, if there is one."""
        here = Publication(self.out).contents(name, *more)
        for publication in self.publications:
            files = publication.files(wanted)
            if files and publication.contents(name, *more) == here:
                for path in files:
                    self.copy_below(path)
                return True
        return False

    def join_page(self) -> None:
        """tables/cells.html: the section of each corpus from its source (it shows what no table
        holds). Raises InputError where a page lacks it."""
        name, page, sections = "tables/cells.html", "", []
        for corpus, about in read_corpora(self.infos()).items():
            publication = self.source(corpus, UNIT_TABLES[0], NETWORK_TABLES[UNIT_TABLES[0]])
            for path in publication.files(name) if publication else ():
                page = path.read_text()
                (its,) = read_corpora([publication.folder / f"corpora/{corpus}.json"]).values()
                before, head, section = page.partition(f"<section>\n<h2>{escape(its['title'])}:")
                if not head:
                    raise InputError(f"{path}: no section on '{its['title']}': publish it again")
                head = f"<section>\n<h2>{escape(about['title'])}:"
                sections.append(f"{head}{section.partition('</section>')[0]}</section>")
        if sections:
            before, after = page.partition("<section>")[0], page.rpartition("</section>")[2]
            write_atomically(self.out / name, (before + "\n".join(sections) + after).encode())

    def join_emergence(self) -> None:
        """When skills and units appear, from the watched networks of both publications."""
        name = "tables/emergence.csv"
        tables = remake.existing(*(p.folder / name for p in reversed(self.publications)))
        corpora = {corpus for path in tables for corpus in read_table(path, ["corpus"])["corpus"]}
        remake.emergence(self.out, tables, [p for p in self.infos() if p.stem in corpora])

    def join_errors(self) -> None:
        """tables/errors.csv: the rows of each network from a publication that has it, and the
        figure drawn from them. Rows that were made with fewer n-gram models than others are left
        out: what other oracles remove depends on these."""
        name, found = "tables/errors.csv", {}
        for publication in self.publications:
            if not (publication.folder / name).exists():
                continue
            *columns, ngrams = errors_by_size.COLUMNS
            rows = read_table(publication.folder / name, columns, "table of errors")
            # older publications do not say which
            rows[ngrams] = rows[ngrams].astype(str) if ngrams in rows else ""
            for which, own in rows.groupby(errors_by_size.COLUMNS[:5], sort=False):
                key = ModelKey(which[0], "recurrent", *which[1:])
                if key in self.taken and self.holds(publication, key):
                    found.setdefault(key, own)
        rows = pd.concat([found[key] for key in self.planned if key in found] or [pd.DataFrame()])
        if len(rows):
            most = rows.groupby("corpus")["ngrams"].transform(lambda each: max(each, key=len))
            rows = rows[rows["ngrams"] == most]
            write_csv(rows, self.out / name)
            with plots.style():
                corpora = redraw.corpora_of(self.out, {key.corpus for key in found})
                figure = errors_by_size.draw(rows, corpora)
                plots.save(figure, remake.images(self.out, "errors"))

    # ---- what is made from losses ----

    def analyse(self) -> None:
        """Tables 1 to 3, the comparison, figure 1 and the claims, from digests."""
        order = {key: place for place, key in enumerate(self.planned)}
        keys = sorted(self.taken, key=lambda key: order.get(key, len(order)))
        scores = {key: self.out / f"scores/{key.path}.json" for key in keys}
        infos = self.infos()
        work, splits = self.out.with_name("shapes"), {}
        work.mkdir(exist_ok=True)
        for key, path in scores.items():
            if key.corpus not in splits:
                about = self.about_text(key.corpus)
                splits[key.corpus] = shape_of_split(path, about, work / f"{key.corpus}.npz")
        reference.write_status(self.out, self.planned)
        remake.loss_tables(self.out, scores, infos, self.analysis.bootstrap)
        remake.comparison(self.out, infos)
        remake.split_table(self.out, scores, splits, infos, self.analysis.claims)
        remake.reshuffles(self.out, scores, infos)
        remake.discrepancies(self.out, infos)
        remake.figure1(self.out, scores, infos, self.analysis.tsne)
        published = []
        if (self.out / "tables/claims.csv").exists():
            copy(self.out / "tables/claims.csv", work / "claims.csv")
            published = ["--published", work / "claims.csv"]
        remake.types(self.out, scores, splits, infos, self.analysis.claims)
        tried = ["--nn-hidden", *self.settings.get("hidden", [])]  # an older version says nothing
        sums = [path for p in self.publications for path in p.files("tables/claim_sums.csv")]
        more = [*published, *tried, "--published-sums", *sums]
        remake.claims(self.out, scores, splits, infos, more, self.analysis.claims)

    def about_text(self, corpus: str) -> dict:
        """What its networks in half precision say of the text of a corpus: its alphabet and line
        ends; {} without any."""
        paths = Publication(self.out).files(f"models/{corpus}-*.safetensors")
        return model_file.about(paths[0]) if paths else {}


def check_versions(digests: Mapping[Path, dict]) -> None:
    """Refuse networks computed by different versions (`networks.version`), whose losses are not
    compared: the shared number must be the same of all, the whole version of each type.

    digests: what is published of each model. Raises InputError.
    """
    known: dict[str, tuple[str, Path]] = {}
    for path, about in digests.items():
        if about["family"] == "ngram":
            continue
        version, type = version_of(about), about.get("type", "nn")
        for group, own in (("", version.partition(".")[0]), (type, version)):
            other, where = known.setdefault(group, (own, path))
            if other != own:
                raise InputError(
                    f"{path}: computed by version {version}, {where} by another ({other}): losses"
                    " of two versions are not compared; publish networks of one version alone"
                )


def joined_settings(first: Mapping, second: Mapping) -> dict:
    """How the models of both publications were made: `second` counts, and of each corpus what only
    `first` has, such as the AdamW recipe, by which its networks may be."""
    corpora = {
        corpus: first["corpora"].get(corpus, {}) | second["corpora"].get(corpus, {})
        for corpus in {**second["corpora"], **first["corpora"]}
    }
    return {**first, **second, "corpora": corpora}


def lowest(several: Iterable[Mapping[ModelKey, Path]], loss) -> dict[ModelKey, Path]:
    """The file of each model with the lowest loss (or rank), the first of equals."""
    found: dict[ModelKey, Path] = {}
    for files in several:
        for key, path in files.items():
            if key not in found or loss(path) < loss(found[key]):
                found[key] = path
    return found


def lines(path: Path) -> int:
    """The number of lines of a file."""
    return path.read_bytes().count(b"\n")


def rows_of(head: str, rows: list[str], corpus: str) -> list[str]:
    """The lines of a table about a corpus; claims.csv has it in the column `where`."""
    if head.startswith("corpus,"):
        return [row for row in rows if row.startswith(f"{corpus},")]
    where = (cells[1] for cells in csv.reader(rows))
    return [row for row, place in zip(rows, where, strict=True) if place.split(":")[0] == corpus]


def network_of(row: str) -> ModelKey:
    """The network that a line of tables/inside.csv is about."""
    corpus, type, layers, size, seed, _ = row.split(",", 5)
    return ModelKey(corpus, "recurrent", type, int(layers), int(size), int(seed))


def size_of(publication: Publication, name: str, corpus: str) -> int:
    """How much a file says about a corpus: rows of a shared table, or lines of the corpus's own."""
    path = publication.folder / name
    if not path.exists():
        return 0
    if name in NETWORK_TABLES or name == "tables/claims.csv":
        head, *rows = path.read_text().splitlines(keepends=True) or [""]
        return len(rows_of(head, rows, corpus))
    return 1 if path.suffix != ".csv" else lines(path)


def shape_of_split(digest: Path, text: dict, out: Path) -> Path:
    """A split with as many test streams and characters as a digest, and no text: all that the verbs
    read of it where models have only digests. text: of `Join.about_text`; an unknown alphabet is
    all zeros. Raises InputError where the digest is missing."""
    about = read_json(digest)
    require(about, ("digest",), digest)
    found, corpus = about["digest"], about["corpus"]
    streams, known = len(found["streams"]), "alphabet" in text
    shape = (streams, found["characters"] // streams)
    apart = shape[1] * (corpus == twin(original(corpus)))  # 0: not in one piece
    ends = line_ends.of_model(text) if known else None
    np.savez(
        out,
        alphabet=symbols.alphabet_of(text) if known else np.zeros(len(found["symbols"]), np.uint8),
        test_y=np.zeros(shape, np.uint8),
        test_at=np.arange(streams) * apart,
        train_y=np.zeros((streams, 0), np.uint8),
        **({"line_ends": ends} if ends else {}),
    )
    return out


# ---- the command line ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", type=Path, help="results/reference", metavar="REFERENCE")
    parser.add_argument("other", type=Path, help="what another machine published", metavar="OTHER")


def run(args: argparse.Namespace) -> None:
    files = merge(args.reference, args.other)
    models = len(Publication(args.reference).digests())
    print(f"{args.reference}: {models} models, {len(files)} files")
