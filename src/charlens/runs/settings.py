"""The settings of a run: one typed object, made once and read by rules and package.

`make` makes it from the configuration that Snakemake merged; `write` and `read` keep it beside the
results, as results/<run>/settings.json. `charlens.runs.schema` defines keys and values.
`python -m charlens.runs.settings` prints the JSON schema from which editors complete config.yaml.

The Snakefile imports this, so it imports nothing slow.
"""

import contextlib
import copy
import json
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from charlens.errors import InputError
from charlens.files import check_digest, write_with_digest
from charlens.runs.schema import Section, Settings
from charlens.runs.values import PATTERNS
from charlens.store.models import recipe_of

BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
RENAMED = {
    "plain_cut": "contiguous_split",
    "figures.young_lstm": "figures.first_epochs",
    "figures.first_epochs.looks": "figures.first_epochs.snapshots",
}


def make(config: Mapping) -> Settings:
    """The settings of a configuration. Numbers may be text, as --config gives them.

    Raises InputError with one line per mistake, which begins with the key. Checks across sections
    cover only sections without mistakes of their own.
    """
    sound, mistakes = {}, []
    try:
        settings = Settings.model_validate(dict(config), context=sound)
    except ValidationError as error:
        settings = Settings.model_construct(**sound)
        of_values = {}  # a cell's file may be named in many places
        for mistake in error.errors():
            said = describe(mistake)
            of_value = mistake["type"] == "value_error"
            of_values.setdefault(said.partition(": ")[2] if of_value else said, said)
        mistakes = list(of_values.values())
    for check in (_names_of_corpora, _types, _streams, _orders, _values_for_every_entry):
        try:
            mistakes += check(settings)
        except AttributeError:  # a section that it needs has a mistake of its own
            if not mistakes:
                raise
    if mistakes:
        raise InputError("\n".join(dict.fromkeys(mistakes)))
    return settings


def layers(usual: Mapping, paths: Iterable[Path]) -> list[Settings]:
    """The settings of config.yaml, then those with each configuration file laid over all before. A
    file that is only complete with those after it is no layer of its own.

    usual: what config.yaml holds. Raises InputError where that is not sound.
    """
    from snakemake.utils import update_config

    merged, found = copy.deepcopy(dict(usual)), [make(usual)]
    for path in paths:
        update_config(merged, yaml.safe_load(Path(path).read_text()) or {})
        with contextlib.suppress(InputError):
            found.append(make(merged))
    return found


def read(path: Path) -> Settings:
    """What `write` wrote. Raises InputError where the file is missing, damaged or holds something
    else."""
    try:
        check_digest(path)
        config = json.loads(Path(path).read_text())
        if not isinstance(config, dict):
            raise ValueError
    except FileNotFoundError:
        raise InputError(f"{path} is missing: run snakemake once, which writes it") from None
    except OSError as error:
        reason = f"{path}: no settings of a run ({error.strerror})"
        raise InputError(f"{reason}; snakemake writes them when a run starts") from None
    except ValueError:
        raise InputError(f"{path}: not the settings of a run; remove it, run snakemake") from None
    if "analysis" in config:  # see `reference.write_settings`
        raise InputError(f"{Path(path).parent} is a publication, no run; name the folder of a run")
    try:
        return make(config)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def write(settings: Settings, path: Path) -> None:
    """Write all settings to a JSON file, unless it already holds them."""
    path, content = Path(path), settings.model_dump_json(exclude_none=True, indent=1) + "\n"
    if not path.exists() or path.read_bytes() != content.encode():
        write_with_digest(path, content.encode())


def refuse_others(settings: Settings, path: Path) -> None:
    """Raise InputError where results were made with other settings, which `path` holds, by a
    Snakemake that is not the one here: it cannot tell what to make again."""
    if not path.exists():
        return
    here, there = (_flat(its.model_dump(mode="json")) for its in (settings, read(path)))
    for its in (here, there):
        its.pop("mirror", None)  # where texts are, not what they are
        its.pop("networks_per_job", None)  # which changes no result
    if other := [key for key in here | there if here.get(key) != there.get(key)]:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        raise InputError(
            f"{path.parent} was made with other settings ({', '.join(other[:3])}{more}) and copied"
            " here, or .snakemake was removed, so that Snakemake cannot know what to make again:"
            f" use those in {path}, choose another run, or remove {path.with_name('.run')} to keep"
            " everything that is there"
        )


def _flat(values: Mapping, before: str = "") -> dict[str, object]:
    """Nested settings by their whole keys, such as training.epochs."""
    found = {}
    for key, value in values.items():
        inner = isinstance(value, Mapping) and value
        found |= _flat(value, f"{before}{key}.") if inner else {f"{before}{key}": value}
    return found


def refuse_duplicates(path: Path) -> None:
    """Raise InputError where a configuration file has a key twice: YAML takes the last one."""

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node, deep=False):
            keys = [key.value for key, _ in node.value]
            for place, (key, _) in enumerate(node.value):
                if key.value in keys[:place] and key.tag != "tag:yaml.org,2002:merge":
                    line = key.start_mark.line + 1
                    raise InputError(f"{path}, line {line}: {key.value} occurs twice; remove one")
            return super().construct_mapping(node, deep)

    yaml.load(Path(path).read_text(), Loader)


def comparable(settings: Settings) -> dict:
    """What the models of a publication must have in common: the run, and how each corpus is split
    and its networks are trained, whatever the backend."""
    corpora = {}
    for corpus in settings.use:
        training = settings.training_of(corpus)
        del training["backend"]
        corpora[corpus] = {
            "fractions": settings.corpora[corpus].fractions,
            "split": settings.split_of(corpus),
            "training": training,
        }
        if settings.grid.variants:
            corpora[corpus]["adamw"] = settings.adamw.model_dump(exclude={"rates"})
    return {"run": settings.run, "corpora": corpora}


def arguments(values: Mapping | Section) -> list[str]:
    """Values as command-line arguments: {"decay_after": 10} gives ["--decay-after", "10"]."""
    values = values.model_dump(exclude_none=True) if isinstance(values, Section) else values
    pairs = ((f"--{name.replace('_', '-')}", str(value)) for name, value in values.items())
    return [word for pair in pairs for word in pair]


def options(values: Mapping | Section) -> str:
    """The same for a shell."""
    return shlex.join(arguments(values))


def schema() -> dict:
    """The JSON schema of a complete configuration, for editors. `make format` writes it to
    workflow/schemas/config.schema.json."""
    # Pydantic writes bounds in its own words where a validator reads the value first.
    text = json.dumps(Settings.model_json_schema())
    written = json.loads(
        text, object_hook=lambda node: {BOUNDS.get(key, key): value for key, value in node.items()}
    )
    return written | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "charlens configuration",
        "$comment": "For editors; generated from charlens.runs.schema, which checks the settings.",
    }


def describe(mistake: dict) -> str:
    """One line about a mistake that pydantic found, which begins with the key."""
    key = ".".join(str(part) for part in mistake["loc"] if part != "[key]") or "config"
    key = key if key.isprintable() else repr(key)
    if key in RENAMED:
        return f"{key}: is now called {RENAMED[key]}; rename it"
    if mistake["type"] == "extra_forbidden":
        return f"{key}: unknown key; {instead(mistake['loc'])}"
    if mistake["type"] == "missing":
        return f"{key}: missing; see config.yaml for an example"
    if mistake["type"] == "value_error":
        return f"{key}: {mistake['ctx']['error']}"
    expected = re.sub(r"^\w+ should (be |have )?| after validation, not \d+", "", mistake["msg"])
    expected = expected.replace("valid integer", "whole number").replace("valid ", "")
    if mistake["type"] == "model_type":
        expected = f"keys and values ({{key: value}}) of {', '.join(keys_at(mistake['loc']))}"
    expected = PATTERNS.get(mistake.get("ctx", {}).get("pattern"), expected)
    got = repr(mistake["input"])
    return f"{key}: expected {expected}, got {got if len(got) < 80 else got[:76] + ' ...'}"


def instead(place: tuple) -> str:
    """What an unknown key may be: the same key of another section, or one of its own section."""
    *above, last = place
    keys = keys_at(above)
    sections = [] if above else [section for section in keys if last in keys_at([section])]
    if sections:
        return f"did you mean {' or '.join(f'{section}.{last}' for section in sections)}?"
    return f"there are {', '.join(keys)}" if keys else "see config.yaml"


def keys_at(place: Sequence) -> list[str]:
    """The keys of a section of the settings. place: where it is, names and positions."""
    root = node = Settings.model_json_schema()

    def resolved(node: dict) -> dict:
        refs = [branch["$ref"] for branch in (node, *node.get("anyOf", [])) if "$ref" in branch]
        return resolved(root["$defs"][refs[0].rpartition("/")[2]]) if refs else node

    for part in place:
        node = resolved(node)
        of_any_name = [*node.get("patternProperties", {}).values(), node.get("items")]
        node = node.get("properties", {}).get(part) or of_any_name[0] or {}
    return list(resolved(node).get("properties", {}))


# ---- checks across sections: each yields a line per mistake ----


def _names_of_corpora(settings: Settings) -> Iterator[str]:
    from charlens.runs import grid

    corpora = settings.corpora
    for corpus in settings.use:
        if corpus not in corpora:
            yield f"use: no corpus '{corpus}'; corpora defines {', '.join(corpora)}"
    for corpus in grid.in_paper(corpus for corpus in settings.use if corpus in corpora):
        for place, source in enumerate(corpora[corpus].sources):
            if source.path and not source.bytes:  # a copy of the paper's has its length
                yield (
                    f"corpora.{corpus}.sources.{place}: {corpus} is a text of the paper, with its"
                    " numbers beside it; give a text of your own another name"
                )
    named = {
        "cells.passages": settings.cells.passages,
        "contiguous_split.corpora": settings.contiguous_split.corpora,
        "reshuffles.corpora": settings.reshuffles.corpora,
        "figures.first_epochs.corpora": settings.figures.first_epochs.corpora,
        "figures.emergence.corpora": settings.figures.emergence.corpora,
    }
    for key in ("dropout", "seeds"):
        for place, entry in enumerate(getattr(settings.grid, key)):
            named[f"grid.{key}.{place}.corpora"] = entry.corpora or []
    for key, there in named.items():
        for corpus in there:
            if corpus not in corpora:
                yield f"{key}: no corpus '{corpus}'; corpora defines {', '.join(corpora)}"


def _types(settings: Settings) -> Iterator[str]:
    from charlens.runs import grid

    known = {entry["type"] for entry in grid.entries(settings)}
    for place, type in enumerate(settings.figures.types):
        if type not in known:
            has = ", ".join(sorted(known))
            yield f"figures.types.{place}: no '{type}' in the grid; it has {has}"
    for place, type in enumerate(settings.figures.emergence.types):
        if recipe_of(type) == "adamw":
            yield (
                f"figures.emergence.types.{place}: {type}: networks trained by the AdamW recipe"
                " are not watched; remove it"
            )


def _streams(settings: Settings) -> Iterator[str]:
    streams = settings.split.streams
    for place, stream in enumerate(settings.cells.record.streams):
        if stream >= streams:
            yield (
                f"cells.record.streams.{place}: there are streams 0 to {streams - 1}, got {stream}"
            )


def _orders(settings: Settings) -> Iterator[str]:
    for key in ("contiguous_split", "reshuffles"):
        section = getattr(settings, key)
        if not set(settings.use) & set(section.corpora):
            continue
        if key == "contiguous_split" and settings.split.layout == "contiguous":
            continue
        for place, order in enumerate(section.orders):
            if order not in settings.ngrams.orders:
                yield f"{key}.orders.{place}: {order} is not among ngrams.orders"


def _values_for_every_entry(settings: Settings) -> Iterator[str]:
    from charlens.runs import grid

    for corpus in settings.use:
        entries = grid.entries(settings)
        if not any(entry["type"] == "lstm" for entry in entries):
            yield "grid.omit: leaves no lstm, which figures 4 and 5 are about"
        for key in ("seeds", "dropout"):
            for entry in entries:
                if key == "dropout" and recipe_of(entry["type"]) == "adamw":
                    continue
                if grid.first_fit(settings, key, corpus, entry) is None:
                    yield (
                        f"grid.{key}: no entry fits {entry['type']} {entry['layers']}x"
                        f"{entry['size']}; add one with values for it"
                    )
                    break


if __name__ == "__main__":
    json.dump(schema(), sys.stdout, indent=2)
    print()
