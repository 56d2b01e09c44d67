"""Write every number of README.md and docs/ and the cards of the published networks and texts from
the published results, and codemeta.json from CITATION.cff and pyproject.toml.

    python docs/generate.py            renew the blocks in place
    python docs/generate.py --check    exit 1 where a block is not current

A block stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`; the function of that
name in `blocks/` writes it, from results/reference alone. Numbers outside blocks are the paper's or
settings; tests/docs/test_docs.py refuses others.
"""

import argparse
import json
import re
import sys
import tomllib
from pathlib import Path

import yaml
from blocks import claims, faults, figures, losses, modern, readme, speed, units
from blocks.common import MODERN, REFERENCE, ROOT

from charlens.runs import model_cards

BLOCKS = (
    readme.commands, readme.verdict, readme.missing, readme.state,
    losses.table1, losses.table2, losses.discrepancies, losses.shuffle_offsets, losses.paper_text,
    losses.candidates, losses.uncertainty, losses.split_layouts,
    claims.claims,
    figures.figures, figures.definitions, figures.errors_by_size,
    units.units, units.clamped, units.probes, units.all_networks, units.learned_when,
    modern.modern_verdict, modern.modern_losses, modern.modern_claims, modern.modern_missing,
    modern.modern_figure,
    speed.costs, speed.speeds, speed.type_speeds, speed.peers, speed.platforms, speed.rules,
    speed.rules_demo, speed.gpu, speed.equal,
    faults.faults,
)  # fmt: skip


def renewed(text: str, name: str = "README.md") -> str:
    """The text with its blocks written anew; they link as README.md does, and in a page of docs/
    from there. Raises SystemExit on a block that nobody writes."""
    writers = {block.__name__.replace("_", "-"): block for block in BLOCKS}

    def write(found: re.Match) -> str:
        block = found.group(1)
        if block not in writers:
            sys.exit(f"{name}: no function writes the block '{block}'; see docs/blocks")
        written = writers[block]()
        if name != "README.md":
            written = written.replace("](docs/", "](")
        return f"<!-- generated: {block} -->\n\n{written}\n\n<!-- end of {block} -->"

    return re.sub(
        r"<!-- generated: ([\w-]+) -->.*?<!-- end of \1 -->", write, text, flags=re.DOTALL
    )


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def codemeta() -> bytes:
    """codemeta.json, by which software catalogs know the project."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    paper = citation["references"][0]
    about = {
        "@context": "https://w3id.org/codemeta/3.0",
        "@type": "SoftwareSourceCode",
        "name": project["name"],
        "version": project["version"],
        "description": " ".join(citation["abstract"].split()),
        "license": f"https://spdx.org/licenses/{project['license']}",
        "author": [{"@type": "Organization", "name": a["name"]} for a in citation["authors"]],
        "keywords": citation["keywords"],
        "programmingLanguage": ["Python", "C++", "Snakemake"],
        "runtimePlatform": f"Python {project['requires-python']}",
        "operatingSystem": ["Linux", "macOS"],
        "softwareRequirements": project["dependencies"],
        "referencePublication": {
            "@type": "ScholarlyArticle",
            "name": paper["title"],
            "url": paper["url"],
        },
    }
    return json.dumps(about, indent=2).encode() + b"\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    check = parser.parse_args().check
    written = {
        page: renewed(page.read_text(encoding="utf-8"), page.name).encode() for page in pages()
    }
    for folder in filter(Path.exists, (REFERENCE, MODERN)):
        written |= {folder / path: text for path, text in model_cards.documents(folder).items()}
    written[ROOT / "codemeta.json"] = codemeta()
    stale = [path for path, new in written.items() if not path.exists() or path.read_bytes() != new]
    if check and stale:
        names = ", ".join(path.name for path in stale)
        sys.exit(f"{names}: not current; run `make docs`")
    for path in stale:
        path.write_bytes(written[path])


if __name__ == "__main__":
    main()
