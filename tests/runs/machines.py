"""Small runs and publications, for the tests of publish and merge."""

import json
import struct
from pathlib import Path

import numpy as np
import yaml
from synthetic import TEXT, random_logp, run, write_corpus, write_score

from charlens import cli
from charlens.data import split
from charlens.errors import InputError
from charlens.networks import model_file
from charlens.networks.version import version
from charlens.runs.run_files import FOUND
from charlens.store.models import ModelKey, looked_at
from charlens.store.tables import INSIDE, TRAJECTORY
from charlens.training.snapshots import Schedule
from charlens.units import inside_table

ROOT = Path(__file__).parents[2]
STREAMS, UNROLL, SAMPLES = 6, 10, 1000
MADE_UP = ("cells", "probes", "cell-tables", "errors", "figure2", "figure6")  # verbs
NETWORKS = {  # validation loss of a candidate's last epoch
    "type~lstm/layers~1/size~8/seed~1/dropout~0.0": 1.5,
    "type~gru/layers~1/size~8/seed~1/dropout~0.0": 1.6,
    "type~gru/layers~1/size~8/seed~1/dropout~0.1": 1.7,
    "nn/context~1/seed~1/hidden~8": 2.5,
}
CLAMPED = {  # what `charlens ablate` writes
    "ablation/code.csv": "corpus,model,layer,unit,hypothesis,clamp,loss,low,high,own,own_low,"
    "own_high,controls,used\n"
    "code,lstm 1x8,1,{unit},quote,mean,0.01,0.0,0.02,-0.1,-0.2,-0.05,7,1\n",
    "ablation/controls/code.csv": "corpus,model,hypothesis,clamp,layer,unit,found,own,others,"
    "wanted,characters,samples,seed\n"
    "code,lstm 1x8,quote,mean,1,{unit},1,-0.1,-0.01,50,0,1000,0\n"
    "code,lstm 1x8,quote,mean,1,8,0,0.0,0.0,50,0,1000,0\n",
}


def settings(**more) -> dict:
    """Settings of a run of one corpus, `code`: LSTM 1x8 and GRU 1x8, a 1-NN, a 1- and a 2-gram."""
    found = yaml.safe_load((ROOT / "config.yaml").read_text())
    changed = {
        "run": "small", "use": ["code"], "bootstrap": {"samples": 10, "seed": 0},
        "corpora": found["corpora"] | {"code": {
            "title": "Code", "kind": "code", "fractions": [0.8, 0.1, 0.1],
            "sources": [{"name": "made up", "path": "code.txt"}],
        }},
        "grid": {"types": ["lstm", "gru"], "layers": [1], "sizes": [8], "omit": [],
                 "seeds": [{"values": [1]}],
                 "dropout": [{"types": ["gru"], "values": [0.0, 0.1]}, {"values": [0.0]}]},
        "nn": {"contexts": [1], "hidden": [8], "seed": 1}, "ngrams": {"orders": [2, 3]},
        "contiguous_split": found["contiguous_split"] | {"corpora": ["code"], "orders": [2, 3]},
        "claims": {"resamples": SAMPLES, "seed": 0},
        "split": {"layout": "streams", "streams": STREAMS, "unroll": UNROLL},
        "figures": found["figures"] | {
            "first_epochs": {"corpora": ["code"], "epochs": 2, "snapshots": 3},
        },
    }  # fmt: skip
    return {**found, **changed, **more}


def write_network(
    run: Path, path: str, val_loss: float, corpus="code", scored=True, recipe=None
) -> None:
    """A trained candidate: metadata without tensors, its history, and the scores of the model.

    recipe: of a network by the second one; its learning rate is the candidate.
    """
    key = ModelKey.parse(f"{corpus}/{path}")
    about = {"corpus": corpus, "source": "made up", "hidden": 8, "parameters": 100, "epoch": 2}
    about |= {"seed": 1, "val_loss": val_loss, "context": key.n or 0}
    if key.family == "nn":
        about |= {"type": "nn", "layers": 1, "hidden": key.candidate, "dropout": 0.0}
    else:
        about |= {"type": key.type, "layers": key.layers, "size": key.size}
        about |= {"dropout": 0.0 if recipe else key.candidate}
        if recipe:
            about |= {"recipe": recipe | {"learning_rate": key.candidate}}
            about |= {"version": version(key.type)}
    folder = run / f"models/{key.path}"
    folder.mkdir(parents=True)
    header = json.dumps({"__metadata__": {"charlens": json.dumps(about)}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    choose(run, key)
    rows = "".join(f"{e},{val_loss + 2 - e},{val_loss + 2 - e}\n" for e in (1, 2))
    (folder / "history.csv").write_text(f"epoch,train_loss,val_loss\n{rows}")
    if scored:
        score(folder / "model.safetensors", run / f"scores/{key.chosen.path}.npy")


def choose(run: Path, key: ModelKey) -> None:
    """Let a candidate be the one that `charlens select` chose."""
    best = run / f"models/{key.chosen.path}/best/model.safetensors"
    best.parent.mkdir(exist_ok=True)
    best.write_bytes((run / f"models/{key.path}/model.safetensors").read_bytes())


def describe(model: Path, **more) -> None:
    """Add to the metadata of a model without tensors."""
    about = model_file.about(model) | more
    header = json.dumps({"__metadata__": {"charlens": json.dumps(about)}}).encode()
    model.write_bytes(struct.pack("<Q", len(header)) + header)


def windows(run: Path) -> int:
    """The windows of an epoch."""
    return split.load(run / "corpora/code.npz").train.y.shape[1] // UNROLL


def watch(run: Path, path: str) -> None:
    """Let a trained candidate have snapshots as the settings say, which nobody has analysed."""
    folder, its = run / f"models/code/{path}", json.loads((run / "settings.json").read_text())
    emergence = {"epochs": 3, "snapshots": 10} | its["figures"]["emergence"]
    times = Schedule(emergence["snapshots"], emergence["epochs"])
    (folder / "snapshots.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    n, epochs = windows(run), its["training"]["epochs"]
    describe(folder / "snapshots.safetensors", epochs=times.taken(epochs, n, n))


def write_first_epochs(run: Path, type="lstm", contexts=(1,), epochs=2, snapshots=3) -> Path:
    """What `charlens trajectory` writes, made up."""
    path = run / ("" if type == "lstm" else f"types/{type}") / "figure5/code.csv"
    n = windows(run)
    looks = enumerate(Schedule(snapshots, epochs).taken(epochs, n, n), start=1)
    rows = [f"1,8,{look},{epoch},{n},0.1,0.2\n" for look, epoch in looks for n in contexts]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{','.join(TRAJECTORY)}\n{''.join(rows)}")
    return path


def write_found(run: Path, *networks: str) -> None:
    """What `charlens cells` and `charlens probes` write of these networks, made up: what says of
    which networks and by which settings they are."""
    its = json.loads((run / "settings.json").read_text())["cells"]
    models = [run / f"models/code/{name}/model.safetensors" for name in networks]
    found = {
        "samples": its["samples"], "shifts": its["shifts"],
        "options": {"seed": its["seed"], "passages": its["passages"].get("code", [])},
        "networks": looked_at(models, model_file.about),
    }  # fmt: skip
    fitted = its["probes"] | {"seed": its["seed"]}
    probes = f"{','.join(fitted)}\n{','.join(map(str, fitted.values()))}\n"
    for file in FOUND:
        path = run / file.format("code")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text({"cells/code.json": json.dumps(found)}.get(file.format("code"), probes))


def write_clamped(folder: Path, unit: int = 1) -> None:
    """What `charlens ablate` writes, made up. folder: a run, or of a type in it."""
    for name, content in CLAMPED.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content.format(unit=unit))


def write_measures(snapshots: Path, out: Path, value: float, characters: int = 1000) -> None:
    """What `charlens emergence` writes, made up: one skill, which rises to `value`."""
    from charlens.networks.model_file import about

    known = about(snapshots)
    network = ",".join(str(known[name]) for name in ("corpus", "type", "layers", "size", "seed"))
    last = known["epochs"][-1]
    rows = [
        f"{network},{epoch:.6g},newline,{value * epoch / last},{characters}\n"
        for epoch in known["epochs"]
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    head = "corpus,type,layers,size,seed,epoch,measure,value,characters\n"
    out.write_text(head + "".join(rows))


def score(model: Path, out: Path) -> None:
    """What `charlens score` writes, made up."""
    from charlens.training.score import metadata

    meta = metadata(model)
    run = next(folder for folder in model.parents if (folder / "corpora").exists())
    size = np.load(run / f"corpora/{meta['corpus']}.npz")["test_y"].size
    out.parent.mkdir(parents=True, exist_ok=True)
    seed = int(1000 * meta["val_loss"])
    write_score(out, random_logp(size, seed, meta["val_loss"]), **meta)


def write_run(folder: Path, networks=NETWORKS, ngrams=(2, 3), scored=True, unit=1, **more) -> Path:
    """A run that has these networks; of each model the best candidate is scored. unit: the one that
    was clamped."""
    (folder / "corpora").mkdir(parents=True)
    write_corpus(folder / "corpora", "code")
    data = split.split(TEXT, "streams", STREAMS, UNROLL, [0.8, 0.1, 0.1])
    split.save(folder / "corpora/code.npz", data)
    size = data.test.y.size
    (folder / "settings.json").write_text(json.dumps(settings(**more)))
    for path, val_loss in sorted(networks.items(), key=lambda item: -item[1]):
        write_network(folder, path, val_loss, scored=scored)
    for order in ngrams:
        path = folder / f"scores/code/ngram/order~{order}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_score(path, random_logp(size, order, 2.0), family="ngram", n=order - 1)
    write_clamped(folder, unit)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class Verbs:
    """In place of `remake.verb`: runs verbs in this process. What needs a real network is made up;
    `light` makes up all the rest, too. `called` says which verbs were asked for."""

    TABLES = {
        "cells": "corpus,model,layer,unit,hypothesis,score,low,high,picked,beyond\n"
        "code,lstm 1x8,1,{unit},quote,0.9,0.8,1.0,0.9,True\n",
        "best_csv": "corpus,model,hypothesis,measure,layer,unit,score,low,high,strength,picked,"
        "beyond,untrained,mean,undefined\n"
        "code,lstm 1x8,quote,auc,1,{unit},0.9,0.85,0.95,0.8,0.9,True,0.1,0.2,0\n",
        "explained_csv": "corpus,model,trained,layer\ncode,lstm 1x8,True,all\n",
        "probes_csv": "corpus,model,layer,hypothesis,unit,single,probe,last_k,untrained\n"
        "code,lstm 1x8,1,quote,{unit},0.8,0.9,0.4,0.3\n",
        "gates_csv": "corpus,type,layers,size,layer,gate,unit,left,right\n"
        "code,lstm,1,8,1,f,{unit},0.1,0.2\n",
    }

    WRITTEN = (
        "out", "csv", "effects_csv", "html", "summary_csv", "text_csv", "definitions_csv",
        "shuffles_csv",
    )  # fmt: skip
    FIGURES = {
        "figure4": "corpus,panel,layers,size,n,byte,character,count,both,lstm,ngram,difference,"
        "model\ncode,errors,1,8,1,,,,0.4,0.1,0.2,,n-gram\n"
        "code,characters,1,8,2,97,a,{unit}0,,0.6,0.5,0.1,n-gram\n",
        "figure5": "corpus,layers,size,n,from,below,distance,pairs,lstm,lstm_se,ngram,ngram_se\n"
        "code,1,8,2,1,10,3,{unit},0.5,0.1,0.4,0.1\n",
        "errors": "corpus,type,layers,size,seed,category,errors,share\n"
        "code,lstm,1,8,1,n-gram,{unit},1\n",
        "ablation": "corpus,model,hypothesis,clamp,layer,unit,found,own,others,used\n"
        "code,lstm 1x8,quote,mean,1,{unit},1,-0.1,-0.01,1\n",
        "figure6": "corpus,layers,size,category,level,errors,share,rate\n"
        "code,1,8,n-gram,n = 1,{unit},1,0.1\n",
    }

    def __init__(self, unit: int = 1, light: bool = True):
        self.unit, self.light, self.called = unit, light, []

    def __call__(self, name: str, *arguments) -> None:
        self.called.append(name)
        words = [str(word) for word in arguments]
        options = self.parse(words)
        if name == "score":
            score(Path(words[0]), Path(options["out"][0]))
        elif name == "emergence":
            write_measures(Path(words[0]), Path(options["out"][0]), self.unit / 10)
        elif name == "emergence-table":
            assert cli.main([name, *words]) == 0
        elif name == "inside":
            self.measure(model_file.about(Path(words[0])), Path(options["out"][0]))
        elif name == "inside-table":
            run(inside_table, words)
        elif (
            name in ("cells", "probes", "cell-tables", "errors", "figure2", "figure6") or self.light
        ):
            self.make_up(name, options)
        elif cli.main([name, *words]):
            raise InputError(f"charlens {name} failed")

    @staticmethod
    def parse(words: list[str]) -> dict[str, list[str]]:
        found, name = {}, ""
        for word in words:
            if word.startswith("--"):
                name = word.removeprefix("--").replace("-", "_")
                found[name] = []
            elif name:
                found[name].append(word)
        return found

    def measure(self, about: dict, out: Path) -> None:
        """What `charlens inside` writes of a network, made up."""
        network = [about[name] for name in ("corpus", "type", "layers", "size", "seed")]
        row = ",".join(map(str, [*network, "all", "best quote", f"0.{self.unit}"]))
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(f"{','.join(INSIDE)}\n{row}\n")

    def make_up(self, name: str, options: dict[str, list[str]]) -> None:
        tables = self.TABLES | {"csv": self.TABLES["cells"]} if name == "cell-tables" else {}
        for option in (*self.WRITTEN, *tables, "cells", "untrained", "gates"):
            for path in options.get(option, []):
                if name == "cell-tables" and option in ("cells", "untrained", "gates"):
                    continue  # read, not written
                if name == "probes" and option == "cells":
                    continue
                if name in ("claims", "figure3") and option == "gates":
                    continue
                content = tables.get(option, f"corpus,what\ncode,{name} {self.unit}\n")
                if option in ("csv", "effects_csv"):
                    content = self.FIGURES.get(name, content)
                if name == "claims" and option == "csv":
                    content = "claim,where,verdict,basis\ndepth helps,code,holds,made up\n"
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_text(content.format(unit=self.unit))
