"""What jobs cost: sizes without torch, the order of jobs, the memory that they ask for."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from charlens.networks import architecture
from charlens.networks.architecture import Architecture
from charlens.runs import cost
from charlens.runs.cost import Text

ROOT = Path(__file__).parents[2]
WP = Text(symbols=87, train=2_600_000, val=330_000, test=330_000)
GRID = [(t, n, s) for t in ("lstm", "rnn", "gru") for n in (1, 2, 3) for s in (64, 128, 256, 512)]
MODERN = [t for t in cost.CELLS if t not in ("nn", "lstm", "rnn", "gru")]


@pytest.mark.parametrize("symbols", [2, 87, 256])
@pytest.mark.parametrize("entry", GRID)
def test_sizes_are_those_of_the_networks(entry, symbols):
    arch = cost.recurrent(*entry, symbols)
    assert abs(arch.hidden - architecture.hidden_size(*entry, symbols)) <= 1
    assert cost.parameters(arch) == pytest.approx(architecture.count(arch), rel=0.01)


@pytest.mark.parametrize("added", ["", "+block", "+block+adamw"])
@pytest.mark.parametrize("type", [*MODERN, "lstm"])
def test_sizes_of_modern_types_are_close(type, added):
    for layers in (1, 2, 3):
        entry = (f"{type}{added}", layers, 128, 87)
        arch = cost.recurrent(*entry)
        assert arch.hidden == pytest.approx(architecture.hidden_size(*entry), rel=0.02, abs=1)
        assert cost.parameters(arch) == pytest.approx(architecture.count(arch), rel=0.06)


def test_a_network_of_fixed_context():
    arch = Architecture("nn", 1, 128, 87, context=3)
    assert cost.parameters(arch) == architecture.count(arch)
    assert cost.multiply_adds(arch) == 128 * (3 + 87)


def test_multiply_adds_counted_by_hand():
    # layer 1: 4 gates x 64 x 64 recurrent, input looked up; softmax 64 x 87
    assert cost.multiply_adds(Architecture("lstm", 1, 64, 87)) == 4 * 64 * 64 + 64 * 87
    # three recurrent products and two from the layer below
    assert cost.multiply_adds(Architecture("gru", 3, 50, 87)) == 5 * 3 * 50 * 50 + 50 * 87


def test_an_unknown_type_is_taken_for_an_lstm():
    own, lstm = cost.recurrent("mine", 2, 128, 87), cost.recurrent("lstm", 2, 128, 87)
    assert own.hidden == lstm.hidden and cost.multiply_adds(own) == cost.multiply_adds(lstm)


def test_the_longest_chains_go_first():
    def of(*entry):
        return cost.recurrent(*entry, 87), cost.training(WP, epochs=50)

    small, large = of("rnn", 1, 64), of("lstm", 3, 512)
    figure5 = large[0], cost.first_epochs(WP, epochs=3, snapshots=10)
    assert 0 < cost.priority(small) < cost.priority(figure5) < cost.priority(large)
    # a short job that figure 5 waits for goes before figure 5, and before what nothing waits for
    assert cost.priority(small, figure5) > cost.priority(figure5)
    assert cost.priority(small, figure5) > cost.priority(of("rnn", 1, 64))


def test_a_corpus_before_it_is_there_and_after(tmp_path):
    info, fractions = tmp_path / "mine.json", [0.8, 0.1, 0.1]
    assert Text.of(info, {"path": "mine.txt"}, fractions) == Text(256, 800_000, 100_000, 100_000)
    source = {"bytes": 2000, "symbols": 70}
    assert Text.of(info, source, fractions) == Text(70, 1600, 200, 200)
    info.write_text('{"bytes": 1000, "symbols": 50}')
    assert Text.of(info, source, fractions) == Text(50, 800, 100, 100)
    info.write_text("{broken")
    assert Text.of(info, source, fractions).symbols == 70


def asked(arch, **more):
    return cost.memory_mb(arch, WP, streams=100, unroll=100, **more)


def test_memory_is_bounded_and_grows():
    every = [asked(cost.recurrent(*entry, 87)) for entry in GRID]
    assert min(every) > 900 and max(every) < 3000
    sizes = [asked(cost.recurrent("lstm", 1, size, 87)) for size in (64, 128, 256, 512)]
    assert sizes == sorted(sizes)
    assert asked(Architecture("nn", 1, 512, 87, 6)) > asked(Architecture("nn", 1, 512, 87, 1))
    one = cost.recurrent("rnn", 1, 64, 87)
    assert asked(one, gpu=True) == asked(one) + cost.CUDA
    text = Text(87, 10**9, 0, 0)
    assert cost.memory_mb(one, text, 100, 100) > asked(one) + 1000


@pytest.mark.parametrize(
    ("entry", "used"),
    [(("lstm", 1, 256), 953), (("gru", 3, 256), 973), (("mlstm", 1, 256), 2280)],
)
def test_memory_has_room_on_every_python(entry, used):
    """used: megabytes that were measured with Python 3.13 and PyPI's build of torch."""
    assert asked(cost.recurrent(*entry, 87)) > 1.2 * used


def test_matrix_memories_have_room():
    """Of a single wide layer they take most: at its peak, about seven per stream."""
    arch = cost.recurrent("mlstm", 1, 512, 87)
    one = 4 * 100 * arch.hidden**2 / 2**20  # of every stream
    assert 8 * one < asked(arch) < 12 * one
    wider = cost.memory_mb(arch, WP, streams=200, unroll=50)  # as many characters
    assert wider > asked(arch) + 7 * one


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads its memory from /proc")
@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("entry", [("lstm", 1, 256), ("gru", 3, 256)])
def test_a_training_stays_within_the_memory_that_it_asks_for(backend, entry):
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "from charlens.runs import cost, estimate\n"
        f"arch = cost.recurrent(*{entry!r}, 87)\n"
        f"t = estimate.prepare(arch, 100, 100, {backend!r}, dropout=0.2)\n"
        "t.update(); t.update(); t.end_epoch()\n"
        "print(open('/proc/self/status').read())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # its own peak: getrusage would count what this process held when it forked
    used = int(re.search(r"VmHWM:\s+(\d+) kB", done.stdout)[1]) / 2**10
    gpu = backend == "auto" and torch.cuda.is_available()
    assert used < asked(cost.recurrent(*entry, 87), gpu=gpu)


def test_planning_needs_no_torch():
    code = (
        "import sys; from charlens.runs import cost, grid, host, modules, results_folder, settings;"
        " from charlens.runs import snakemake_process;"
        " sys.exit(not {'torch', 'numpy', 'pandas'}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_trainings_ask_for_more_time_with_each_attempt():
    small, large = cost.recurrent("lstm", 1, 64, 87), cost.recurrent("lstm", 3, 512, 87)
    updates = cost.training(WP, 50)
    first = cost.runtime_minutes(small, updates, 1)
    # at least twice the 8 minutes that it takes on AVX2, a slow path
    assert 16 <= first <= 120
    assert [cost.runtime_minutes(small, updates, n) for n in (2, 3)] == [2 * first, 3 * first]
    assert cost.runtime_minutes(large, updates, 3) == 24 * 60
    tiny = cost.recurrent("rnn", 1, 8, 87)
    assert [cost.runtime_minutes(tiny, 1000, n) for n in (1, 2)] == [30, 60]
