"""What a publication says of itself to people and programs that do not know this project:

models/<name>.md        a card per published network: what it is, how it was trained, its losses
corpora/<corpus>.md     a card per text: where it comes from, how it is split
ro-crate-metadata.json  the whole as a Workflow Run RO-Crate, profile 0.5
Snakefile               the workflow that made it, which the crate refers to

`charlens publish` and `charlens merge` write them, and `make docs` renews them.
"""

import datetime
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path

from charlens.files import write_atomically
from charlens.networks import model_file
from charlens.runs import reference
from charlens.runs.reference import Publication
from charlens.runs.results_folder import PROJECT
from charlens.store.corpora import read_corpora
from charlens.store.models import network_name, original
from charlens.store.reading import read_json
from charlens.store.tables import paper_table
from charlens.text import unicode

SNAKEFILE = PROJECT / "Snakefile"
PARTS = ("train", "validation", "test")
LICENSE = "https://spdx.org/licenses/MIT"
RO_CRATE = "https://w3id.org/ro/crate/1.1"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
BIOSCHEMAS = "https://bioschemas.org/profiles"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    WORKFLOW_CRATE: "Workflow RO-Crate",
}


def write(folder: Path) -> None:
    """Write all of the above into a publication."""
    for path, content in documents(folder).items():
        write_atomically(folder / path, content)


def documents(folder: Path) -> dict[str, bytes]:
    """What `write` writes, by path. The crate keeps its date where nothing else in it changes.

    Raises InputError where a file that is described is unusable.
    """
    publication = Publication(folder)
    known = read_corpora(publication.files("corpora/*.json"))
    found = {
        f"models/{path.stem}.md": network_card(publication, path, known)
        for path in publication.files("models/*.safetensors")
    }
    found |= {f"corpora/{corpus}.md": corpus_card(publication, known[corpus]) for corpus in known}
    made = {name: text.encode() for name, text in found.items()}
    if not (folder / "Snakefile").exists():  # that of a publication stays as it was
        if not SNAKEFILE.is_file():  # the package is installed without the workflow: no crate
            return made
        made["Snakefile"] = SNAKEFILE.read_bytes()
    made["ro-crate-metadata.json"] = dated(crate(publication), folder / "ro-crate-metadata.json")
    return made


# ---- cards ----


def front(fields: Mapping) -> str:
    """The head of a card, which catalogs of models and data read."""
    return "\n".join(
        ["---", *(f"{key}: {json.dumps(value)}" for key, value in fields.items()), "---"]
    )


def facts(rows: Mapping[str, object]) -> str:
    """A table of what is known."""
    lines = [f"| {name} | {value} |" for name, value in rows.items() if value not in (None, "")]
    return "\n".join(["| | |", "| --- | --- |", *lines])


def network_card(publication: Publication, path: Path, corpora: Mapping[str, dict]) -> str:
    """The card of a published network."""
    about = model_file.about(path)
    name = network_name(about["type"], about["layers"], about["size"])
    corpus, title = about["corpus"], corpora.get(about["corpus"], {}).get("title", about["corpus"])
    key = reference.of_model(about)
    scores = {reference.chosen(reference.read_digest(p)): p for p in publication.digests().values()}
    test = read_json(scores[key]).get("digest", {}) if key in scores else {}
    of = unicode.symbols_are(about).removesuffix("s")
    rows = {
        "architecture": f"{name}: {about['layers']} layers of {about['hidden']} units",
        "parameters": f"{about['parameters']:,}, stored as float16",
        "alphabet": f"{about['symbols']} {of}s" if about.get("symbols") else None,
        "trained on": f"[{title}](../corpora/{corpus}.md), its training streams",
        "training": ", ".join(f"{k} {v}" for k, v in about.get("recipe", {}).items()),
        "dropout": about["dropout"],
        "seed": about["seed"],
        "epoch": f"{about['epoch']}, which validation chose",
        "validation loss": f"{about['val_loss']:.4f} nats per character",
        "test loss": f"{test['loss']:.4f} nats per character" if test else None,
        "the paper's test loss": paper(corpus, about),
    }
    run = publication.settings()["run"]  # the paper's is in results/reference itself
    within = "" if run == "paper" else f"/{run}"
    file = f"results/reference{within}/models/{path.name}"
    tags = {"license": "mit", "library_name": "charlens", "pipeline_tag": "text-generation"}
    return f"""{front(tags)}

# {name} on {title}

A character-level recurrent network from the reproduction of "Visualizing and Understanding
Recurrent Networks" (Karpathy, Johnson, Li 2015): after each {of} of a text it gives the probability
of the next.

{facts(rows)}

Losses are those of the network as it was trained, in float32.

## Use

```sh
charlens sample {file} --length 500
charlens read {file} --text my.txt
```

## Limits

It is meant for the study of its units and errors. It knows the {of}s of its training text and no
others, it may repeat passages of that text, and what it writes is neither true nor useful.
"""


def paper(corpus: str, about: Mapping) -> str | None:
    """The paper's test loss of a network; None where it has none."""
    table = paper_table(1)
    row = table[
        (table["corpus"] == corpus)
        & (table["type"] == about["type"])
        & (table["layers"] == about["layers"])
        & (table["size"] == about["size"])
    ]
    return None if row.empty else f"{row['loss'].iloc[0]:.3f} nats per character"


def corpus_card(publication: Publication, about: Mapping) -> str:
    """The card of a text."""
    corpus = about["corpus"]
    made = publication.settings()["corpora"].get(original(corpus), {})
    shares = ", ".join(
        f"{share:g} {part}" for share, part in zip(made.get("fractions", []), PARTS, strict=False)
    )
    layout = "contiguous" if corpus.endswith(".contiguous") else made.get("split", {}).get("layout")
    rows = {
        "kind": about.get("kind"),
        "source": about["source"],
        "bytes": f"{about['bytes']:,}",
        f"distinct {unicode.symbols_are(about)}": about["symbols"],
        "SHA-256": f"`{about['sha256']}`" if about.get("sha256") else None,
        "split": f"{layout}: {shares}" if shares else None,
    }
    return f"""{front({"pretty_name": about["title"], "task_categories": ["text-generation"]})}

# {about["title"]}

A text on which character-level models are trained and compared, by the name `{corpus}`.

{facts(rows)}

The text itself is not part of this publication: the workflow makes it from the sources that
`config.yaml` lists. Nobody has looked through it for personal or offensive content; models that are
trained on it inherit what it says.
"""


# ---- the crate ----


def crate(publication: Publication) -> dict:
    """The publication as a Workflow Run RO-Crate, without its date."""
    folders = publication.places()
    run = publication.settings()["run"]
    parts = [f"{name}/" for name in folders] + ["README.md", "settings.json", "Snakefile"]
    inputs = ["settings.json", *(["corpora/"] if "corpora" in folders else [])]
    return {
        "@context": f"{RO_CRATE}/context",
        "@graph": [
            entity(
                "ro-crate-metadata.json",
                "CreativeWork",
                conformsTo=refer(RO_CRATE, WORKFLOW_CRATE),
                about={"@id": "./"},
            ),
            entity(
                "./",
                "Dataset",
                name=f"Visualizing and Understanding Recurrent Networks, reproduced: the run {run}",
                description="Tables, figures, claims, losses and networks of a reproduction of"
                " Karpathy, Johnson and Li, arXiv:1506.02078.",
                license={"@id": LICENSE},
                author={"@id": "#authors"},
                conformsTo=refer(*PROFILES),
                hasPart=refer(*parts),
                mainEntity={"@id": "Snakefile"},
                mentions={"@id": "#run"},
            ),
            entity(
                "#run",
                "CreateAction",
                name=f"The run {run}",
                description=f"What was published of results/{run}; README.md says what is missing",
                agent={"@id": "#authors"},
                instrument={"@id": "Snakefile"},
                object=refer(*inputs),
                result=refer(*(f"{name}/" for name in folders if name != "corpora")),
            ),
            *(
                entity(f"{name}/", "Dataset", name=text[0].upper() + text[1:])
                for name, text in folders.items()
            ),
            *always(),
        ],
    }


def always() -> list[dict]:
    """The entities that every crate has: profiles, licence, workflow and the files beside it."""
    return [
        *(
            entity(id, "CreativeWork", name=name, version=id.rpartition("/")[2])
            for id, name in PROFILES.items()
        ),
        entity(LICENSE, "CreativeWork", name="MIT License"),
        entity("#authors", "Organization", name="the charlens authors"),
        entity(
            "Snakefile",
            ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            name="charlens",
            description="The workflow from two texts to every table and figure; its rules and"
            " programs are in the repository of the project.",
            encodingFormat="text/plain",
            conformsTo={"@id": f"{BIOSCHEMAS}/ComputationalWorkflow/1.0-RELEASE"},
            version=importlib.metadata.version("charlens"),
            programmingLanguage={"@id": SNAKEMAKE},
            license={"@id": LICENSE},
            input={"@id": "#settings"},
        ),
        entity(
            SNAKEMAKE,
            "ComputerLanguage",
            name="Snakemake",
            identifier={"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
            url={"@id": "https://snakemake.readthedocs.io"},
        ),
        entity(
            "#settings",
            "FormalParameter",
            additionalType="File",
            name="settings",
            conformsTo={"@id": f"{BIOSCHEMAS}/FormalParameter/1.0-RELEASE"},
            description="Texts, networks, training and analysis",
        ),
        entity(
            "README.md",
            "File",
            name="What holds, what is here and what is missing",
            encodingFormat="text/markdown",
            about={"@id": "./"},
        ),
        entity(
            "settings.json",
            "File",
            name="Settings of the run",
            encodingFormat="application/json",
            exampleOfWork={"@id": "#settings"},
        ),
    ]


def entity(id: str, type: object, **fields: object) -> dict:
    """An entity of a crate."""
    return {"@id": id, "@type": type, **fields}


def refer(*ids: str) -> list[dict]:
    """References to entities."""
    return [{"@id": id} for id in ids]


def dated(crate: dict, path: Path) -> bytes:
    """The crate as a file, with the date of the one at `path` if it is the same, else today's."""
    before = read_json(path) if path.is_file() else {"@graph": []}
    root, known = (
        next((one for one in graph if one["@id"] == "./"), {})
        for graph in (crate["@graph"], before["@graph"])
    )
    root["datePublished"] = known.get("datePublished")
    if crate != before:
        root["datePublished"] = datetime.datetime.now(datetime.UTC).date().isoformat()
    return json.dumps(crate, indent=1, ensure_ascii=False).encode() + b"\n"
