"""The golden test: what a training computes, against stored numbers.

Small networks of every cell type, and an n-NN, are trained for three epochs: by plain torch in
float64, which must give the stored numbers almost to the last digit, and by each backend in
float32, which must come close. Beside them stand the scores of two networks and their difference in
first epochs. So code may be renamed, moved and commented freely, but whoever
changes what is computed has to raise the version (`charlens.networks.version`) and then to renew
the numbers:

    python tests/training/test_golden.py

This is refused while the version is still the one that the numbers were made with. (Changing the
cases below changes no computation: delete golden.json first.)

The networks are so small that the compiled code trains them in float32 on every processor. The
recipe is exaggerated, so that every constant in it matters within a few steps; its large epsilon
keeps RMSProp from blowing up the rounding error of a gradient near zero.
"""

import contextlib
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from charlens.backends import cpu, selection
from charlens.backends.cuda import Cuda
from charlens.backends.reference import Reference
from charlens.data.split import split
from charlens.networks import cells
from charlens.networks.architecture import Architecture
from charlens.networks.model_file import save
from charlens.networks.network import initialise, zero_state
from charlens.networks.version import version
from charlens.store.models import cell_of, has_block, recipe_of
from charlens.training import first_epochs, score
from charlens.training.evaluate import inputs_and_targets, mean_loss
from charlens.training.recipe import AdamW, RMSProp
from charlens.training.train import Training

STORED = Path(__file__).with_name("golden.json")
TYPES = sorted(path.stem for path in Path(cells.__file__).parent.glob("[a-z]*.py"))
TYPES += ["lstm+block", "lstm+adamw", "mingru+block+adamw"]
STREAMS, UNROLL, SYMBOLS, HIDDEN = 4, 6, 7, 5
TEXT = bytes(97 + (i * i + i // 5) % 31 % SYMBOLS for i in range(10 * STREAMS * UNROLL + 5))
RECIPE = RMSProp(
    epochs=3, learning_rate=0.03, decay=0.7, decay_after=1, smoothing=0.8, epsilon=0.01, clip=0.1,
    init=0.5,
)  # fmt: skip
SECOND = AdamW(
    epochs=3, learning_rate=0.05, warm_up=0.7, final=0.3, beta1=0.7, beta2=0.8, epsilon=0.01,
    weight_decay=0.5, max_norm=0.2, init=0.5,
)  # fmt: skip
CASES = {"nn": (Architecture("nn", 1, HIDDEN, SYMBOLS, context=3), 0.0)}  # network, dropout
for name in TYPES:
    CASES[name] = Architecture(name, 1, HIDDEN, SYMBOLS), 0.0
    CASES[f"{name}, 3 layers, dropout"] = Architecture(name, 3, HIDDEN, SYMBOLS), 0.3

FLOAT64 = 1e-9  # how far a number may be from the stored one; 1e-12 is measured
FLOAT32 = 1e-5  # 3e-7 is measured
NORMALISED = 1e-3  # of networks with a normalisation, which divides by small deviations; 1e-4


pytestmark = pytest.mark.usefixtures("one_thread")


def trained(case: str, engine, dtype=torch.float32) -> dict[str, list[float]]:
    """Every loss and every parameter of a case at the end of its training, by name."""
    arch, dropout = CASES[case]
    data = split(TEXT, "streams", STREAMS, UNROLL, (0.6, 0.2, 0.2))
    recipe = SECOND if recipe_of(arch.type) == "adamw" else RECIPE
    training = Training(arch, recipe, data, seed=1, dropout=dropout, name="reference")
    training.backend = engine
    training.fault = lambda row: None  # such a recipe may well diverge
    with default_dtype(dtype):
        for group in (training.params, training.squares, training.grads, training.means):
            group.update({name: tensor.to(dtype) for name, tensor in group.items()})
        training.state = zero_state(arch, STREAMS)
        while training.epoch <= RECIPE.epochs:
            while training.window < training.windows:
                training.update()
            training.end_epoch()
        x, y = inputs_and_targets(data, "test", arch)
        test_loss = mean_loss(engine, training.params, x, y, zero_state(arch, STREAMS), UNROLL)
    losses = [row[part] for row in training.history for part in ("train_loss", "val_loss")]
    losses.append(test_loss)
    return {"losses": losses} | {n: p.flatten().tolist() for n, p in training.params.items()}


@contextlib.contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def in_float64(case: str) -> dict[str, list[float]]:
    return trained(case, Reference(CASES[case][0]), torch.float64)


def scored(folder: Path) -> dict[str, list[float]]:
    """What the verbs `score` and `trajectory` compute of two of these networks, in float32: the
    loss of each test stream, and how the LSTM differs from the n-NN (figure 5)."""
    data = split(TEXT, "streams", STREAMS, UNROLL, (0.6, 0.2, 0.2))
    found, files = {}, {}
    for case, context in (("lstm", 0), ("nn", 3)):
        arch = Architecture(case, 1, HIDDEN, SYMBOLS, context)
        params = initialise(arch, RECIPE.init, torch.Generator().manual_seed(2))
        files[case] = folder / f"{case}.safetensors"
        alphabet = data.alphabet.tobytes().hex()
        save(files[case], params, asdict(arch) | {"alphabet": alphabet, "seed": 1, "dropout": 0.0,
             "recipe": asdict(RECIPE), "size": 5, "corpus": "text", "val_loss": 1.0})  # fmt: skip
        logp = score.score(files[case], data, "reference")
        found[case] = (-logp.reshape(STREAMS, -1).mean(axis=1, dtype="float64")).tolist()
    rows = first_epochs.trajectory([files["lstm"]], [files["nn"]], data, 1, 2, "reference")
    return found | {name: [row[name] for row in rows] for name in ("epoch", "kl", "delta")}


def difference(ours: dict[str, list[float]], stored: dict[str, list[float]]) -> float:
    """The largest between any two numbers; infinite where there are other ones."""
    if {n: len(values) for n, values in ours.items()} != {n: len(v) for n, v in stored.items()}:
        return float("inf")
    return max(abs(a - b) for name in ours for a, b in zip(ours[name], stored[name], strict=True))


def check(case: str, ours: dict[str, list[float]], allowed: float, how: str) -> None:
    """Fail where the numbers are not the stored ones, and say what to do."""
    type, found = type_of(case), json.loads(STORED.read_text())
    if found["versions"].get(type) != version(type):
        pytest.fail(
            f"the stored numbers of '{type}' are of version {found['versions'].get(type)}, the code"
            f" is {version(type)}: run python tests/training/test_golden.py",
            pytrace=False,
        )
    off = difference(ours, found["cases"].get(case, {}))
    if off > allowed:
        pytest.fail(
            f"{case}: {how} computes something else: {off:.2g} from the stored numbers, at most"
            f" {allowed:g} is allowed.\n{advice(type)}",
            pytrace=False,
        )


def float32(case: str) -> float:
    """How far a number of a case computed in float32 may be from the stored one."""
    type = type_of(case)
    return NORMALISED if cell_of(type) == "transformer" or has_block(type) else FLOAT32


def type_of(case: str) -> str:
    """Whose version a case is stored for; scoring belongs to no cell type."""
    return CASES[case][0].type if case in CASES else "nn"


def advice(type: str) -> str:
    everywhere = "VERSION in src/charlens/networks/version.py"
    which = f"raise {everywhere}"
    if type != "nn":
        which = (
            f"raise VERSION in src/charlens/networks/cells/{cell_of(type)}.py if that cell alone"
            f" changes, BLOCK or ADAMW in src/charlens/networks/version.py if they do, else"
            f" {everywhere}"
        )
    return (
        f"If this is not meant, undo it. If it is, make it in every backend, {which}; then run"
        " python tests/training/test_golden.py"
    )


@pytest.mark.parametrize("case", CASES)
def test_plain_torch_in_float64(case):
    check(case, in_float64(case), FLOAT64, "plain torch in float64")


@pytest.mark.parametrize("case", CASES)
def test_plain_torch_in_float32(case):
    check(case, trained(case, Reference(CASES[case][0])), float32(case), "plain torch in float32")


@pytest.mark.parametrize("case", CASES)
def test_the_update_of_the_cuda_backend(case):
    """Uncaptured, on the CPU."""
    engine = Cuda(CASES[case][0], "cpu", capture=False)
    check(case, trained(case, engine), float32(case), "the CUDA backend")


COMPILED = [
    case for case, (arch, _) in CASES.items() if arch.cell in (*cpu.KINDS, *selection.SCANS)
]


@pytest.mark.parametrize("path", cpu.build.runnable() or ["none"])
@pytest.mark.parametrize("case", COMPILED)
def test_the_compiled_code(case, path, monkeypatch):
    """On every path that this processor has."""
    arch, _ = CASES[case]
    monkeypatch.setenv("CHARLENS_ISA", path)
    found, why = cpu.status()
    if found is None:
        pytest.skip(why)
    assert arch.hidden <= cpu.FLOAT32_UNITS
    engine = selection.compiled(arch, STREAMS, UNROLL)
    check(case, trained(case, engine), float32(case), f"the compiled code ({path})")


def test_scores_and_first_epochs(tmp_path, capsys):
    check("scoring", scored(tmp_path), FLOAT32, "scoring")


def renew() -> None:
    """Store the numbers of this version. Refused where they change and the version did not."""
    found = json.loads(STORED.read_text()) if STORED.exists() else {"versions": {}, "cases": {}}
    cases = {case: in_float64(case) for case in CASES}
    with tempfile.TemporaryDirectory() as folder:
        cases["scoring"] = scored(Path(folder))
    for case, ours in cases.items():
        type, allowed = type_of(case), FLOAT64 if case in CASES else FLOAT32
        if found["versions"].get(type) != version(type):
            continue
        stored = found["cases"].get(case, {})
        if difference(ours, stored) > allowed:
            sys.exit(f"{case}: the numbers change, but the version is still {version(type)}.\n"
                     f"{advice(type)}")  # fmt: skip
        cases[case] = stored  # to its last digit
    STORED.write_text(as_json({"versions": {t: version(t) for t in ("nn", *TYPES)}}, cases))


def as_json(head: dict, cases: dict[str, dict[str, list[float]]]) -> str:
    """One line for each parameter, to 12 digits: no processor agrees on more."""
    lines = [f'{json.dumps(head)[:-1]}, "cases": {{']
    for case, numbers in cases.items():
        rows = [
            f" {json.dumps(name)}: [{', '.join(f'{value:.12g}' for value in values)}]"
            for name, values in numbers.items()
        ]
        lines.append(f"{json.dumps(case)}: {{\n" + ",\n".join(rows) + "\n},")
    return "\n".join(lines)[:-1] + "\n}}\n"


def test_numbers_are_renewed_only_for_a_new_version(tmp_path, monkeypatch):
    found = json.loads(STORED.read_text())
    found["cases"]["nn"]["b"][0] += 1e-6
    monkeypatch.setitem(globals(), "STORED", tmp_path / "golden.json")
    monkeypatch.setitem(globals(), "CASES", {"nn": CASES["nn"]})
    STORED.write_text(json.dumps(found))
    with pytest.raises(pytest.fail.Exception, match="VERSION in src/charlens/networks/version.py"):
        test_plain_torch_in_float64("nn")
    with pytest.raises(SystemExit, match="the version is still 1"):
        renew()
    monkeypatch.setitem(globals(), "version", lambda type: "2")
    with pytest.raises(pytest.fail.Exception, match="of version 1, the code is 2: run python"):
        test_plain_torch_in_float64("nn")
    renew()
    test_plain_torch_in_float64("nn")


if __name__ == "__main__":
    renew()
