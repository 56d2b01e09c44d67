"""What a job imports. A run has hundreds of jobs of a second or two, and torch, scikit-learn and
their like take that long to import, so only a job that uses one imports it."""

import shutil
import subprocess
import sys

import pytest
from conftest import small_split

from charlens.backends import cpu, gpus, selection
from charlens.cli import VERBS
from charlens.data import split
from charlens.networks import arrays, model_file
from charlens.networks.architecture import Architecture

SLOW = ["torch", "pandas", "scipy", "sklearn", "matplotlib", "pydantic", "jinja2"]
AFTER = f"print(*(name for name in {SLOW} if name in sys.modules), file=sys.stderr)"
# These look inside a network, for which they take the equations in torch, or time torch.
USE_TORCH = {"check-cell", "cells", "probes", "left-out", "inside", "ablate", "emergence", "record",
             "explore", "trajectory", "bench", "bench-types", "equal", "doctor"}  # fmt: skip
compiled = pytest.mark.skipif(cpu.status()[0] is None, reason="no compiled code here")


def imported(program: str, *arguments) -> str:
    """Which of SLOW a program has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; {AFTER}", *map(str, arguments)], capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode().splitlines()[-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A split, and a network and an n-NN for its alphabet."""
    folder, data = tmp_path_factory.mktemp("start"), small_split()
    split.save(folder / "text.npz", data)
    (folder / "text.json").write_text('{"corpus": "text", "source": "random"}')
    (folder / "text.txt").write_bytes(data.alphabet.tobytes() * 3)
    for type, context in (("lstm", 0), ("nn", 2)):
        arch = Architecture(type, 1, 4, data.symbols, context)
        about = {"type": type, "layers": 1, "hidden": 4, "symbols": data.symbols, "size": 4,
                 "context": context, "alphabet": data.alphabet.tobytes().hex(), "corpus": "text",
                 "source": "random", "parameters": 1, "seed": 1, "epoch": 1, "val_loss": 1.0,
                 "dropout": 0.0}  # fmt: skip
        model_file.save(folder / type, arrays.initialise(arch, 0.5, 1), about)
    for type in cpu.KINDS:  # once for each machine the equations are compared with those in torch
        selection.same_equations(type)
    return folder


TRAIN = "train text.npz --info text.json --hidden 4 --epochs 1 --backend fast --out made"
SCORE = "--split text.npz --out made.npy --meta made.json --backend fast"


@compiled
@pytest.mark.parametrize(
    "command",
    [
        f"{TRAIN} --type lstm --dropout 0.3 --snapshots 2",
        f"{TRAIN} --type lstm --dropout 0.3 --snapshots 2 --seed 2",
        f"{TRAIN} --type gru",
        f"{TRAIN} --type rnn --layers 2",
        f"{TRAIN} --type nn --context 3",
        "select lstm lstm --out best",
        f"score lstm {SCORE}",
        f"score nn {SCORE}",
        "read lstm --text text.txt --backend fast",
        "sample lstm --length 5",
        "half lstm --out half",
    ],
)
def test_the_compiled_code_needs_numpy_alone(folder, monkeypatch, command):
    if command.startswith("sample") and gpus.has_driver():
        pytest.skip("there may be a GPU, which torch knows")
    monkeypatch.chdir(folder)
    shutil.rmtree("made", ignore_errors=True)  # a network of another test, which is not replaced
    program = "import sys; from charlens import cli; assert cli.main(sys.argv[1:]) == 0"
    assert imported(program, *command.split()) == ""


def test_verbs_import_what_they_use_when_they_use_it():
    modules = {f"charlens.{place.partition(':')[0]}" for verb, (place, _) in VERBS.items()
               if verb not in USE_TORCH}  # fmt: skip
    found = imported(f"import sys, {', '.join(sorted(modules))}").split()
    assert not {"torch", "scipy", "sklearn"} & set(found)


def test_the_verbs_before_the_first_table_need_no_pandas():
    verbs = ["fetch", "split", "reshuffle", "train", "select", "score", "ngram", "score-ngram"]
    modules = {f"charlens.{VERBS[verb][0]}" for verb in verbs}
    assert imported(f"import sys, {', '.join(sorted(modules))}") == ""
