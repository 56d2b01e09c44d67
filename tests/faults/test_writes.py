"""Every write, one by one: a verb is killed, or the disk is full or fails, at its n-th call.

After each, what is there is whole, and the same command ends with identical bytes.
"""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from machines import NETWORKS, write_network, write_run
from striking import HERE, Server

from charlens import files
from charlens.backends import compiler
from charlens.errors import InputError
from charlens.networks import model_file, network
from charlens.networks.architecture import Architecture

ROOT = HERE.parents[1]
KENLM = ROOT / "results/kenlm"
TEXT = b"".join(b"f%d(x) { return %d; } /* %d */\n" % (n % 7, n % 5, n % 3) for n in range(60))
TRAIN = "train text.npz --info text.json --type gru --hidden 5 --epochs 2 --snapshots 1"
VERBS = {
    "split": "split --text text.txt --info text.json --streams 4 --unroll 8 --out text.npz",
    "train": f"{TRAIN} --backend reference --out model",
    "select": "select a/model.safetensors b/model.safetensors --out best/model.safetensors",
    "score": "score a/model.safetensors --split text.npz --backend reference --out s/s.npy"
    " --meta s/s.json",
    "ngram": f"ngram --split text.npz --order 3 --kenlm {KENLM} --memory-mb 100"
    " --out ngrams/3.binary --info ngrams/3.json",
    "publish": "publish small reference",
}
KINDS = ("kill", "ENOSPC", "EIO")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if sys.platform != "linux":
        pytest.skip("calls are intercepted on Linux alone")
    folder = tmp_path_factory.mktemp("server")
    try:
        command, _ = compiler.find()
    except InputError as error:
        pytest.skip(str(error))
    options = ["-x", "c", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
    command += [*options, str(HERE / "shim.c"), "-o", str(folder / "shim.so"), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = Server(folder / "shim.so", folder)
    yield found
    found.stop()


def write_inputs(verb: str, folder: Path, server: Server) -> None:
    """What a verb reads; of a publication, what was published before."""
    folder.mkdir()
    if verb == "publish":
        write_run(folder / "small", {name: NETWORKS[name] for name in list(NETWORKS)[:2]})
        assert server.run(VERBS["publish"].split(), folder).status == 0
        for name in list(NETWORKS)[2:]:
            write_network(folder / "small", name, NETWORKS[name])
        return
    (folder / "text.txt").write_bytes(TEXT)
    about = {"corpus": "text", "source": "made up", "sha256": files.sha256(folder / "text.txt")}
    files.write_with_digest(folder / "text.json", json.dumps(about).encode())
    if verb != "split":
        done = server.run(VERBS["split"].split(), folder)
        assert done.status == 0, done.said
    for name, loss in ("a", 2.5), ("b", 2.25):
        write_model(folder / name / "model.safetensors", loss)


def write_model(path: Path, val_loss: float) -> None:
    alphabet = bytes(sorted(set(TEXT)))
    arch = Architecture("gru", 1, 5, len(alphabet))
    about = {**vars(arch), "corpus": "text", "source": "made up", "size": None, "seed": 1}
    about |= {"parameters": 100, "epoch": 1, "val_loss": val_loss, "dropout": 0.0}
    params = network.initialise(arch, 0.08, torch.Generator().manual_seed(int(4 * val_loss)))
    model_file.save(path, params, about | {"alphabet": alphabet.hex()})


def results(folder: Path) -> dict[str, bytes]:
    """The files that count, by name: no locks, no checkpoints, nothing half-written."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        hidden = name.startswith(".") or "/." in name
        digest = name.endswith(".sha256") and ".tmp" not in name and not name.startswith(".ref")
        passing = "checkpoint" in name or ".binary.tmp/" in name
        if path.is_file() and not passing and (digest or not hidden):
            found[name] = path.read_bytes()
    found.pop("model/.history.csv.sha256", None)
    if content := found.get("model/history.csv"):  # without its seconds
        found["model/history.csv"] = b"\n".join(
            b",".join(line.split(b",")[:4]) for line in content.splitlines()
        )
    return found


def strike(verb: str, how: str, at: int, sound, server: Server, folder: Path) -> tuple[str, str]:
    """Let call `at` of a verb go wrong, and run it again: how that ended, and what was wrong.

    sound: the files before, and after the verb has run undisturbed.
    """
    inputs, before, after = sound
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(inputs, folder)
    words = VERBS[verb].split()
    struck = server.run(words, folder, how, at)
    there = results(folder)
    if struck.status == 0 and there != after:
        return "wrong", f"status 0, and another result: {differing(there, after)}"
    if how != "kill" and struck.status and not is_one_line(struck):
        return "wrong", f"status {struck.status}: {struck.said}"
    if torn := [name for name in there if there[name] not in (before.get(name), after.get(name))]:
        return "wrong", f"neither old nor new: {torn}"
    again = server.run(words, folder)
    if again.status or results(folder) != after:
        return "wrong", f"then {differing(results(folder), after)}: {again.said}"
    return "noticed" if struck.status > 0 else "harmless", ""


def is_one_line(struck) -> bool:
    """Whether the verb failed with one line that says why, after those on its progress."""
    last = struck.said.strip().splitlines()[-1:]
    return (
        struck.status == 1
        and "Traceback" not in struck.said
        and bool(last)
        and last[0].startswith("charlens: error: ")
    )


def differing(found: dict, expected: dict) -> list[str]:
    return sorted(name for name in found | expected if found.get(name) != expected.get(name))


@pytest.fixture(params=VERBS)
def struck(request, server, tmp_path):
    """A verb, the number of its calls, and a function that lets one of them go wrong."""
    verb = request.param
    if verb == "ngram" and not KENLM.exists():
        pytest.skip("KenLM is not built: run make setup")
    write_inputs(verb, tmp_path / "inputs", server)
    shutil.copytree(tmp_path / "inputs", tmp_path / "undisturbed")
    undisturbed = server.run(VERBS[verb].split(), tmp_path / "undisturbed")
    assert undisturbed.status == 0, undisturbed.said
    sound = tmp_path / "inputs", results(tmp_path / "inputs"), results(tmp_path / "undisturbed")

    def let(how, at):
        return strike(verb, how, at, sound, server, tmp_path / "struck")

    return verb, undisturbed.calls, let


def test_some_writes(struck, tally):
    verb, calls, let = struck
    seed = random.randrange(1 << 32)
    print(f"{verb}: {calls} calls, seed {seed}")
    draw = random.Random(seed)
    for how in KINDS:
        count = tally(how, verb)
        for at in draw.sample(range(1, calls + 1), 2):
            ending, fault = let(how, at)
            count.add(ending, f"{verb}, {how} at call {at}: {fault}")
        count.check()


@pytest.mark.faults
@pytest.mark.parametrize("how", KINDS)
def test_every_write(struck, how, tally):
    verb, calls, let = struck
    count = tally(how, verb)
    step = 1 if verb != "publish" else 1 + calls // 40
    for at in range(1, calls + 1, step):
        ending, fault = let(how, at)
        count.add(ending, f"{verb}, {how} at call {at}: {fault}")
    assert let(how, calls + 1)[0] == "harmless"  # nothing is left to go wrong
    count.check()
