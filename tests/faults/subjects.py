"""What is fuzzed: sound files, changes to them, and what reads them (see test_fuzz.py).

Some files are changed blindly, some inside with their digest computed again, so that the digest
does not hide the checks behind it. A changed file with a right digest is another file: it may be
used where all of it makes sense.
"""

import contextlib
import io
import json
import struct
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from conftest import small_split
from hypothesis import strategies as st
from mutating import changed_bytes, changed_json
from synthetic import random_logp

from charlens import cli, files
from charlens.data import split
from charlens.errors import InputError
from charlens.networks import half, model_file, network
from charlens.networks.architecture import Architecture, count
from charlens.runs import grid, settings
from charlens.store import scores, tables
from charlens.training import checkpoint, snapshots, train
from charlens.training.recipe import RMSProp

ROOT = Path(__file__).parents[2]
ALPHABET = bytes(range(97, 108))
VERBS = ("score", "score", "half", "select")


def verb(*words) -> None:
    """Run a verb as the command line does. Raises InputError with its line."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = cli.main([str(word) for word in words])
    if status:
        last = said.getvalue().strip().splitlines()[-1]
        assert status == 1 and last.startswith("charlens: error: "), said.getvalue()
        raise InputError(last)


class Subject:
    """Something that is read. Its folder is the only place that may be written to."""

    cases = 1000  # of the whole test

    def __init__(self, folder: Path):
        self.folder = folder
        self.make()

    def make(self) -> None:
        """Write sound files."""

    def change(self, draw) -> bool:
        """Damage them. Returns whether what is there now is in order, for all that digests tell."""
        raise NotImplementedError

    def restore(self) -> None:
        """Undo the change."""
        self.path.write_bytes(self.seed)

    def use(self) -> object:
        """Use them; what comes of it, to be compared with =="""
        raise NotImplementedError


def architectures() -> list[Architecture]:
    return [
        Architecture("lstm", 2, 3, 11), Architecture("gru", 1, 4, 11),
        Architecture("rnn", 1, 4, 11), Architecture("nn", 1, 4, 11, 2),
    ]  # fmt: skip


def described(arch: Architecture) -> dict:
    about = {**vars(arch), "corpus": "text", "source": "random", "size": 4, "seed": 1, "epoch": 1}
    about |= {"val_loss": 2.25, "dropout": 0.0, "parameters": count(arch), "version": "nn 1"}
    return about | {"alphabet": ALPHABET.hex(), "recipe": {"epochs": 2, "clip": 5.0}}


def signed(header: dict, body: bytes) -> bytes:
    """A model file of this header and body, with a right digest where there is a place for it."""
    with contextlib.suppress(KeyError, TypeError, AttributeError, ValueError):
        about = json.loads(header["__metadata__"]["charlens"])
        about.pop("sha256", None)
        about["sha256"] = model_file.digest(about, body)
        header["__metadata__"]["charlens"] = json.dumps(about)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def change_model(draw, content: bytes) -> tuple[bytes, bool]:
    """The content of a model file, changed, and whether its digest is right."""
    how = draw(st.sampled_from(["bytes", "metadata", "metadata", "tensors", "numbers"]))
    if how == "bytes":
        return draw(changed_bytes(content)), False
    (length,) = struct.unpack_from("<Q", content)
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    if how == "metadata":
        about = draw(changed_json(json.loads(header["__metadata__"]["charlens"])))
        header["__metadata__"]["charlens"] = json.dumps(about)
    elif how == "tensors":
        header = draw(changed_json(header))
    else:
        numbers = np.frombuffer(body[: len(body) // 4 * 4], "<f4").copy()
        at = draw(st.integers(0, len(numbers) - 1))
        numbers[at] = draw(st.sampled_from([np.nan, np.inf, 3e38, -3e38, 1e-45, 70000, 1]))
        body = numbers.tobytes() + body[len(body) // 4 * 4 :]
    if draw(st.integers(0, 9)) == 0:
        body = body[: draw(st.integers(0, len(body)))]
    return signed(header, body), True


class Models(Subject):
    """A model from a stranger is scored, halved or selected."""

    cases = 3500
    backend = "auto"

    def make(self):
        split.save(self.folder / "text.npz", small_split())
        self.seeds = []
        for number, arch in enumerate(architectures()):
            params = network.initialise(arch, 0.08, torch.Generator().manual_seed(number))
            path = self.folder / "seed.safetensors"
            model_file.save(path, params, described(arch))
            self.seeds.append(path.read_bytes())
            half.halve(path, self.folder / "half.safetensors")
        self.seeds.append((self.folder / "half.safetensors").read_bytes())
        self.path, self.seed, self.verb = self.folder / "model.safetensors", self.seeds[0], "score"

    def change(self, draw):
        self.seed, self.verb = draw(st.sampled_from(self.seeds)), draw(st.sampled_from(VERBS))
        content, right = change_model(draw, self.seed)
        self.path.write_bytes(content)
        return right

    def use(self):
        out = self.folder / "out.npy"
        if self.verb != "score":
            verb(self.verb, self.path, "--out", out)
            model_file.load(out)
            return out.read_bytes()
        places = ("--split", self.folder / "text.npz", "--out", out, "--meta", f"{out}.json")
        verb("score", self.path, *places, "--backend", self.backend)
        out.with_suffix(".json").write_bytes(Path(f"{out}.json").read_bytes())
        return np.asarray(scores.read_score(out).logp).tobytes()


class Snapshots(Subject):
    """The snapshots of a training are read."""

    cases = 800

    def make(self):
        arch = Architecture("gru", 1, 4, 11)
        params = network.initialise(arch, 0.08, torch.Generator().manual_seed(1))
        taken = [{"epoch": epoch, "params": snapshots.take(params)} for epoch in (0.5, 1)]
        self.path = self.folder / "snapshots.safetensors"
        snapshots.save(self.path, taken, described(arch))
        self.seed = self.path.read_bytes()

    def change(self, draw):
        content, right = change_model(draw, self.seed)
        self.path.write_bytes(content)
        return right

    def use(self):
        arch, found, _ = snapshots.load(self.path)
        x = torch.zeros(2, 3, dtype=torch.uint8)
        for epoch, params in found:
            assert np.isfinite(epoch)
            network.forward(arch, params, x, network.zero_state(arch, 2))
        return [(epoch, {n: p.tolist() for n, p in params.items()}) for epoch, params in found]


class Checkpoints(Subject):
    """A training resumes from a checkpoint of its own, or one that claims to be."""

    cases = 400
    arch, recipe, data = Architecture("rnn", 1, 3, 11), RMSProp(epochs=2), small_split()

    def make(self):
        self.path = self.folder / "checkpoint.pt"
        training = train.Training(self.arch, self.recipe, self.data, 1, 0.0, "reference")
        for _ in range(training.windows):
            training.update()
        training.end_epoch()
        training.update()
        identity = checkpoint.fingerprint(self.arch, self.recipe, self.data, 1, 0.0)
        checkpoint.write_checkpoint(self.path, training, identity)
        self.seed = self.path.read_bytes()

    def restore(self):
        for path in self.folder.iterdir():
            path.unlink()
        self.path.write_bytes(self.seed)

    def change(self, draw):
        self.restore()
        if draw(st.booleans()):
            self.path.write_bytes(draw(changed_bytes(self.seed)))
            return False
        saved = checkpoint.parse(self.seed)
        inside = [saved[name] for name in ("params", "squares", "best", "history")]
        where = draw(st.sampled_from([saved, *inside[:-1], *inside[-1]]))
        key = draw(st.sampled_from(sorted(where)))
        how = draw(st.sampled_from(["lose", "odd", "shape", "type", "number"]))
        if how == "lose":
            del where[key]
        elif isinstance(where[key], np.ndarray) and how != "odd":
            old = where[key]
            changed = {"shape": old[:-1], "type": old.astype(float), "number": old + np.inf}
            where[key] = changed[how]
        else:
            where[key] = draw(st.sampled_from([None, -1, 10**6, 0.5, "x", [], {}, [1], {"a": 1}]))
        self.path.write_bytes(checkpoint.content_of(saved))
        return True

    def use(self):
        about = {"corpus": "text", "source": "random", "size": None}
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            train.train(
                self.arch, self.recipe, self.data, 1, 0.0, self.folder, about, "t", "reference"
            )
        _, params, _ = model_file.load(self.folder / "model.safetensors")
        return {name: value.tolist() for name, value in params.items()}


class Splits(Subject):
    """A split is read for training, scoring and figures."""

    cases = 1500

    def make(self):
        self.path = self.folder / "text.npz"
        split.save(self.path, small_split())
        self.seed = self.path.read_bytes()
        with np.load(self.path) as arrays:
            self.arrays = dict(arrays)
        Models.make(self)
        self.model = self.folder / "seed.safetensors"
        self.model.write_bytes(self.seeds[1])
        self.path = self.folder / "text.npz"

    def change(self, draw):
        if draw(st.integers(0, 3)) == 0:
            self.path.write_bytes(draw(changed_bytes(self.seed)))
            return False
        arrays = dict(self.arrays)
        for _ in range(draw(st.integers(1, 2))):
            name = draw(st.sampled_from(sorted(arrays)))
            how = draw(st.sampled_from(["lose", "type", "shape", "value", "object", "short"]))
            old = arrays[name]
            if how == "lose":
                del arrays[name]
            elif how == "type" and old.dtype != object:
                kinds = ["int8", "int64", "float32", "complex64", "bool", "U3"]
                arrays[name] = old.astype(draw(st.sampled_from(kinds)))
            elif how == "shape":
                shapes = [old[None], old.ravel(), old.T, np.atleast_1d(old)[..., :0]]
                arrays[name] = draw(st.sampled_from(shapes))
            elif how == "object":
                arrays[name] = np.array([None, {"a": old}], dtype=object)
            elif how == "short" and old.ndim:
                arrays[name] = old[:-1]
            elif how == "value" and old.size:  # an earlier change may have left it empty
                arrays[name] = old.copy()
                with contextlib.suppress(OverflowError, TypeError, ValueError):  # of another type
                    arrays[name].flat[0] = draw(st.sampled_from([0, 1, 10, 11, 200, 255]))
        np.savez_compressed(self.path, **arrays)
        return True

    def use(self):
        out = self.folder / "out.npy"
        verb("score", self.model, "--split", self.path, "--out", out,
             "--meta", out.with_suffix(".json"))  # fmt: skip
        return np.asarray(scores.read_score(out).logp).tobytes()


class Scores(Subject):
    """Score arrays and their metadata become table 1 or 2."""

    cases = 1200

    def make(self):
        trained = {"hidden": 10, "parameters": 1000, "seed": 1, "epoch": 7, "val_loss": 1.0}
        common = {"corpus": "text", "source": "made up", "bytes": 2000}
        self.seeds = {
            "table1": {"family": "recurrent", "type": "lstm", "layers": 3, "size": 64,
                       "dropout": 0.0, **trained, **common},
            "table2": {"family": "ngram", "n": 3, "arpa_bytes": 3000, **common},
        }  # fmt: skip
        about = {"corpus": "text", "title": "Text", "kind": "code", "source": "made up",
                 "bytes": 9, "symbols": 5}  # fmt: skip
        files.write_with_digest(self.folder / "text.json", json.dumps(about).encode())
        self.logp = random_logp(100, 1).astype(np.float32)
        self.path, self.verb = self.folder / "s.npy", "table1"

    def restore(self):
        scores.write_scores(
            self.path, self.logp, self.path.with_suffix(".json"), self.seeds[self.verb]
        )

    def change(self, draw):
        self.verb = draw(st.sampled_from(sorted(self.seeds)))
        self.restore()
        meta = self.path.with_suffix(".json")
        how = draw(st.sampled_from(["array", "json", "metadata", "metadata", "numbers", "type"]))
        if how in ("array", "json"):
            path = self.path if how == "array" else meta
            path.write_bytes(draw(changed_bytes(path.read_bytes())))
            return False
        logp, about = self.logp.copy(), self.seeds[self.verb]
        if how == "metadata":
            about = draw(changed_json(about))
        elif how == "numbers":
            logp[0] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, -3e38]))
        else:
            logp = draw(st.sampled_from([
                logp.astype("f8"), logp.astype("i4"), logp[:0], logp[None], logp.astype("f2"),
                logp.astype("U8"), np.array([None, 1.0], dtype=object),
            ]))  # fmt: skip
        np.save(self.path, logp)
        about = about | {"sha256": files.sha256(self.path)}
        files.write_with_digest(meta, json.dumps(about).encode())
        return True

    def use(self):
        out = self.folder / "table.csv"
        verb(self.verb, "--scores", self.path, "--corpora", self.folder / "text.json",
             "--samples", 3, "--csv", out, "--html", self.folder / "table.html")  # fmt: skip
        table = pd.read_csv(out)
        assert len(table) == 1 and table["loss"].dropna().between(0, 1e38).all(), table
        return out.read_bytes()


class Tables(Subject):
    """Tables that one step writes and another reads."""

    cases = 800

    def make(self):
        rows = [["text", "lstm", 1, 8, 1, layer, measure, 0.25] for layer in ("all", "1")
                for measure in ("best quote", "units 0.5", "always left o")]  # fmt: skip
        self.seed = pd.DataFrame(rows, columns=tables.INSIDE)
        about = {"corpus": "text", "title": "Text", "kind": "code", "source": "made up",
                 "bytes": 9, "symbols": 5}  # fmt: skip
        files.write_with_digest(self.folder / "text.json", json.dumps(about).encode())
        self.path = self.folder / "inside.csv"

    def restore(self):
        files.write_csv(self.seed, self.path)

    def change(self, draw):
        self.restore()
        content = self.path.read_bytes()
        if draw(st.integers(0, 3)) == 0:
            self.path.write_bytes(draw(changed_bytes(content)))
            return False
        cells = [line.split(",") for line in content.decode().splitlines()]
        for _ in range(draw(st.integers(1, 3))):
            row = draw(st.integers(0, len(cells) - 1))
            how = draw(st.sampled_from(["odd", "odd", "lose", "row", "twice"]))
            if how == "row":
                del cells[row]
            elif how == "twice":
                cells.append(cells[row])
            else:
                column = draw(st.integers(0, max(0, len(cells[row]) - 1)))
                odd = ["", "x", "nan", "inf", "-1", "9" * 30, '"', "é", "all", "0.5", "\0"]
                cells[row][column : column + 1] = [draw(st.sampled_from(odd))] * (how == "odd")
            if not cells:
                break
        text = "\n".join(",".join(row) for row in cells) + "\n" * bool(cells)
        files.write_with_digest(self.path, text.encode())
        return True

    def use(self):
        out = self.folder / "out.csv"
        verb("inside-table", "--networks", self.path, "--corpora", self.folder / "text.json",
             "--csv", out, "--html", self.folder / "out.html")  # fmt: skip
        return out.read_bytes()


class Configurations(Subject):
    """Settings of a run, as Snakemake merges them."""

    cases = 1000

    def make(self):
        from snakemake.utils import update_config

        self.seed = yaml.safe_load((ROOT / "config.yaml").read_text())
        update_config(self.seed, yaml.safe_load((ROOT / "tests/tiny.yaml").read_text()))
        self.config = self.seed

    def restore(self):
        self.config = self.seed

    def change(self, draw):
        self.config = draw(changed_json(self.seed))
        return True

    def use(self):
        try:
            found = settings.make(self.config)
        except InputError as error:  # one line per mistake, which begins with the key
            raise InputError("; ".join(str(error).splitlines())) from None
        path = self.folder / "settings.json"
        settings.write(found, path)
        assert settings.read(path) == found
        for key in grid.planned(found)[:1000]:
            grid.candidates(found, key)
        return path.read_bytes()


class Corpora(Subject):
    """Texts and archives are fetched and split."""

    cases = 800

    def make(self):
        text = b"".join(b"f%d(x) { return %d; }\n" % (n % 7, n % 5) for n in range(90))
        (self.folder / "in").mkdir()
        with tarfile.open(self.folder / "in/files.tar.gz", "w:gz") as archive:
            for name in ("a/one.h", "a/two.h"):
                member = tarfile.TarInfo(name)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text))
        (self.folder / "in/text").write_bytes(text)
        self.seeds = {
            "text": {"path": str(self.folder / "in/text")},
            "files.tar.gz": {"recipe": {"archive": str(self.folder / "in/files.tar.gz"),
                                        "glob": "*.h", "shuffle": 1}},
        }  # fmt: skip
        self.contents = {name: (self.folder / "in" / name).read_bytes() for name in self.seeds}
        self.name = "text"
        self.restore()

    def restore(self):
        for name, content in self.contents.items():
            (self.folder / "in" / name).write_bytes(content)
        self.info = {
            "title": "T",
            "kind": "code",
            "sources": [{"name": "s"} | self.seeds[self.name]],
        }
        self.options = ["--streams", 4, "--unroll", 8, "--fractions", "0.8", "0.1", "0.1"]

    def change(self, draw):
        self.name = draw(st.sampled_from(sorted(self.seeds)))
        self.restore()
        if draw(st.booleans()):
            content = draw(changed_bytes(self.contents[self.name]))
            (self.folder / "in" / self.name).write_bytes(content)
        else:
            at = draw(st.sampled_from([1, 3, 5, 6, 7]))
            self.options[at] = draw(st.sampled_from(["0", "-1", "1", "9" * 12, "0.5", "1/3", "x"]))
        return True

    def use(self):
        text, info, out = (self.folder / f"out.{end}" for end in ("txt", "json", "npz"))
        verb("fetch", "--corpus", "text", "--spec", json.dumps(self.info), "--mirror", "",
             "--cache", self.folder / "cache", "--text", text, "--info", info)  # fmt: skip
        verb("split", "--text", text, "--info", info, *self.options, "--out", out)
        found = split.load(out)
        return [found.joined(part).tobytes() for part in split.PARTS]


SUBJECTS = (
    Models, Snapshots, Checkpoints, Splits, Scores, Tables, Configurations, Corpora,
)  # fmt: skip
