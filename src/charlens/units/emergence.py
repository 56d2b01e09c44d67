"""`charlens emergence`: when the skills and units of a network appear as it is trained.

For each snapshot of a training (see `charlens.training.snapshots`), over the test streams:

    loss                 mean test loss, nats per character
    newline              mean probability of the first character of each line break
    closing_quote        mean probability of each quotation mark that closes a quotation
    strength_HYPOTHESIS  strength, 0 to 1, of the unit that follows a hypothesis best: chosen on the
                         selection streams, scored on the evaluation streams (see `selectivity`)

Probabilities are those of the whole test split. Units are scored on the first characters of each
stream, which is enough for a score and keeps a training of many snapshots cheap to analyse.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from charlens import arguments
from charlens.backends import base, selection
from charlens.data.split import Split
from charlens.errors import InputError
from charlens.files import write_csv
from charlens.networks import metadata
from charlens.networks.architecture import Architecture
from charlens.networks.network import Parameters
from charlens.progress import say, time_left
from charlens.store.reading import read_json
from charlens.store.tables import EMERGENCE
from charlens.text.unicode import Text
from charlens.training import snapshots
from charlens.training.evaluate import inputs_and_targets, target_log_probs
from charlens.training.score import check_alphabet
from charlens.training.train import describe
from charlens.units import selectivity
from charlens.units.activations import fill_memories
from charlens.units.labels import own_in_test, read_corpus, read_labels

SKILLS = {"newline": "newline_next", "closing_quote": "quote"}  # measure: whose own characters


def emergence(path: Path, data: Split, text: Text, kind: str, characters: int, backend_name="auto"):
    """One row per snapshot and measure, columns EMERGENCE.

    path: the snapshots of a recurrent network. text: the corpus, of this kind. characters: of each
    test stream, on which units are scored. Raises InputError where the file holds no snapshots of
    such a network, or one of another alphabet.
    """
    arch, found, about = snapshots.load(path)
    if not arch.recurrent:
        raise InputError(f"{path}: an n-NN has no state to watch; name a recurrent network")
    metadata.require(about, path, metadata.IDENTITY)
    check_alphabet(path, about, data)
    label = f"{about['corpus']} {describe(arch, about['size'])} seed {about['seed']}"
    skills = skill_masks(text, kind, data)
    read = data.test.read_at()[:, :characters]
    labels = read_labels(text, kind, read)
    backend = selection.choose(arch, data.streams, data.unroll, backend_name)
    rows, begun = [], time.perf_counter()
    for done, (epoch, params) in enumerate(found, start=1):
        measures = predicted(arch, params, data, backend, skills)
        measures |= strengths(arch, params, data.test.x[:, : read.shape[1]], labels)
        rows += [(epoch, measure, value) for measure, value in measures.items()]
        say(label, f"epoch {epoch:g} {time_left(begun, 0, done / len(found))}")
    table = pd.DataFrame(rows, columns=EMERGENCE[-3:])
    identity = {name: about[name] for name in EMERGENCE[:-3]}
    return table.assign(**identity)[EMERGENCE]


def skill_masks(text: Text, kind: str, data: Split) -> dict[str, np.ndarray]:
    """The test characters that a skill is about, bool [S, n] by measure: see `own_characters`.

    Only measures with such characters are included.
    """
    own = own_in_test(data, text, kind, SKILLS.values(), data.test.y.shape[1]).numpy()
    return {name: mask for name, mask in zip(SKILLS, own, strict=True) if mask.any()}


def predicted(
    arch: Architecture, params: Parameters, data: Split, backend, skills: dict[str, np.ndarray]
) -> dict[str, float]:
    """Test loss in nats per character, and the mean probability of the characters of each skill.

    skills: from `skill_masks`.
    """
    x, y = inputs_and_targets(data, "test", arch)
    state = backend.zero_state(data.streams)
    params = backend.to_backend(params)
    logp = target_log_probs(backend, params, x, y, state, data.unroll).astype(np.float64)
    return {"loss": -logp.mean()} | {
        name: float(np.exp(logp[mask]).mean()) for name, mask in skills.items()
    }


def strengths(
    arch: Architecture, params: Parameters, x: np.ndarray, labels: dict
) -> dict[str, float]:
    """The strength of the best unit for each hypothesis that can be tested.

    x: codes [S, n], read from a zero state. labels: of these characters, from `read_labels`.
    """
    values = np.empty((arch.layers * arch.hidden, *x.shape), np.float16)
    fill_memories(arch, params, torch.from_numpy(np.ascontiguousarray(x)), values)
    found = selectivity.scored(values, labels)
    score = selectivity.strength(found.score, found.yes_no)
    return {
        f"strength_{name}": float(score[unit, y])
        for y, (name, unit) in enumerate(zip(found.hypotheses, found.selected, strict=True))
    }


# ---- the command line ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="SNAPSHOTS", help="those of a training")
    parser.add_argument("--split", type=Path, required=True, help="the corpus, split (.npz)")
    parser.add_argument("--text", type=Path, required=True, help="the corpus (.txt)")
    parser.add_argument("--info", type=Path, required=True, help="its provenance (.json)")
    parser.add_argument(
        "--characters",
        type=arguments.count,
        default=1000,
        help="of each test stream, to score units on",
    )
    base.add_backend(parser)
    base.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="the measures (.csv)")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    data, text = read_corpus(args.split, args.text, args.info)
    kind = read_json(args.info)["kind"]
    table = emergence(args.model, data, text, kind, args.characters, args.backend)
    table = table.assign(value=table["value"].round(5))
    # by the last column `charlens publish` knows whether the setting has changed since
    write_csv(table.assign(characters=args.characters), args.out)
