"""What a configuration selects of the grid has to be there: a slip in a selection would do nothing,
without a word.

The Snakefile imports this, so it imports nothing slow.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from charlens.errors import InputError
from charlens.runs import grid
from charlens.runs.schema import Section, Settings
from charlens.store.models import ModelKey

NOTHING = "{} matches no network of the grid; correct or remove it"
SHADOWED = "{}: an entry before it fits all of its networks; move it up, or remove it"


def refuse_unmatched(layers: Sequence[Settings]) -> None:
    """Raise InputError, with a line for each, where a selection, or a value in one, matches nothing
    of the grid: it has a slip in it, and nobody would notice that it does nothing.

    layers: the settings as one configuration after the other was laid over those of config.yaml
    (see `settings.layers`). The selections of config.yaml count for whatever grid they are used
    with; so do those that matched before a later configuration changed the grid.
    """
    checked = [selections(its) for its in layers]
    excused = set(checked[0])
    excused |= {which for its in checked[1:-1] for which, wrong in its.items() if not wrong}
    new = [wrong for which, wrong in checked[-1].items() if which not in excused]
    if mistakes := list(dict.fromkeys(chain(never_reached(layers[-1]), *new))):
        raise InputError("\n".join(mistakes))


def selections(settings: Settings) -> dict[tuple, list[str]]:
    """What the settings select of the grid, each by its key and content, and a line about all that
    is wrong with it."""
    of_grid, cells = settings.grid, settings.cells
    networks = [
        ModelKey(corpus, "recurrent", **entry, seed=seed)
        for corpus in settings.corpora  # those not in use now, too
        for entry in grid.entries(settings)
        for seed in grid.first_fit(settings, "seeds", corpus, entry) or []
    ]
    of_all = settings.model_copy(update={"grid": of_grid.model_copy(update={"omit": []})})
    every_entry = [ModelKey("", "recurrent", **entry) for entry in grid.entries(of_all)]
    found = {}
    for name, chosen, keys in (
        ("cells.inside", cells.inside, networks),
        ("cells.record.models", cells.record.models, networks),
        ("contiguous_split.recurrent", settings.contiguous_split.recurrent, networks),
        ("reshuffles.recurrent", settings.reshuffles.recurrent, networks),
        ("grid.omit", of_grid.omit, every_entry),
        ("grid.dropout", of_grid.dropout, networks),
        ("grid.seeds", of_grid.seeds, networks),
    ):
        for place, selection in enumerate(chosen):
            wrong = unmatched(f"{name}.{place}", selection, keys)
            found[name, selection.model_dump_json()] = wrong
    for name, items, keys in (
        ("grid.dropout", of_grid.dropout, [key for key in networks if key.candidates == "dropout"]),
        ("grid.seeds", of_grid.seeds, networks),
    ):
        used = {
            next((n for n, item in enumerate(items) if grid.fits(key, item)), None) for key in keys
        }
        for place, item in enumerate(items):
            wrong = found[name, item.model_dump_json()]
            if wrong or place in used or not grid.named(item):  # one for all else may be for none
                continue
            if grid.fitting(keys, [item]):
                wrong.append(SHADOWED.format(f"{name}.{place}"))
            else:
                wrong.append(f"{name}.{place}: networks with +adamw have adamw.rates; remove it")
    known = dict.fromkeys(entry["type"] for entry in grid.entries(settings))
    found["cells.gates", *cells.gates] = [
        f"cells.gates.{place}: no '{type}' in the grid; it has {', '.join(sorted(known))}"
        for place, type in enumerate(cells.gates)
        if type not in known
    ]
    return found | of_emergence(settings)


def of_emergence(settings: Settings) -> dict[tuple, list[str]]:
    """The same of what figures.emergence selects: as a whole, and each of its lists."""
    name, its = "figures.emergence", settings.figures.emergence
    of_corpora = {c: grid.watched(settings, c) for c in its.corpora if c in settings.use}
    keys = list(chain(*of_corpora.values()))
    found = {
        (name, str([its.corpora, its.types, its.layers, its.sizes])): [
            f"{name}: no network of {corpus} is of these types, layers and sizes; correct them, or"
            " leave the corpus out"
            for corpus, of_it in of_corpora.items()
            if not of_it
        ]
    }
    for field, fact in (("types", "type"), ("layers", "layers"), ("sizes", "size")):
        values, there = getattr(its, field), {getattr(key, fact) for key in keys}
        missing = [value for value in values if value not in there] if keys else []
        found[name, field, str(values)] = [NOTHING.format(f"{name}.{field}: {v}") for v in missing]
    return found


def unmatched(name: str, selection: Section, keys: Iterable[ModelKey]) -> list[str]:
    """A line where no network matches a selection, or else for each value in it that none has."""
    about = [grid.facts(key) for key in grid.fitting(keys, [selection])]
    if not about:
        return [NOTHING.format(f"{name}:")]
    return [
        NOTHING.format(f"{name}.{field}: {value}")
        for field, its in grid.named(selection).items()
        for value in (its if isinstance(its, list) else [])
        if value not in {fact[field] for fact in about}
    ]


def never_reached(settings: Settings) -> Iterator[str]:
    """A line for each entry of grid.dropout and grid.seeds that no grid would reach: one before it
    lists all that it lists."""
    for key in ("dropout", "seeds"):
        items = [grid.named(item) for item in getattr(settings.grid, key)]
        for place, item in enumerate(items):
            if any(
                all(name in item and set(item[name]) <= set(its) for name, its in before.items())
                for before in items[:place]
            ):
                yield SHADOWED.format(f"grid.{key}.{place}")
