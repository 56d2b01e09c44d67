"""Gradients of every path against float64, beside stock bfloat16 autocast: what README.md of the
backend promises ("Exactness")."""

import accuracy
import paths
import pytest
import torch

from charlens.backends import cpu

# What float32 paths promise; nothing below it counts as worse than autocast.
FLOAT32 = 1e-4
BFLOAT16 = 1e-2


@pytest.fixture(scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cases(one_thread):
    """Of each type at every depth, of each later type, and of three in a block; trained once, for
    all paths."""
    if not paths.TESTABLE:
        pytest.skip(paths.NONE)
    in_blocks = accuracy.cases(3, types=("lstm+block", "gru+block", "mingru+block"))
    return accuracy.cases(9) + accuracy.cases(4, types=accuracy.LATER) + in_blocks


def check(isa, found, share=1.0):
    """What a path promises of this share of the tensors, at the beginning of training and later."""
    limit = FLOAT32 if cpu.build.float32(isa) == isa else BFLOAT16
    for trained in (False, True):
        some = [error for error in found if error.trained == trained]
        assert accuracy.within(some, limit) >= share
        assert not accuracy.worse(some, 2, FLOAT32)


# An emulator of ARM takes minutes here; test_cpu.py has fewer cases.
SLOW = [pytest.param(isa, marks=pytest.mark.full) for isa in ("neon",) if paths.emulated(isa)]
QUICK = [isa for isa in paths.TESTABLE if not SLOW or isa != "neon"]


@pytest.mark.parametrize("isa", [*(QUICK or ["none"]), *SLOW])
def test_gradients_over_random_shapes_and_states(isa, cases):
    found = accuracy.measure(isa, cases)
    assert len({error.case for error in found}) >= 50
    check(isa, found)


@pytest.mark.full
def test_gradients_over_twice_as_many(one_thread):
    given = accuracy.cases(18) + accuracy.cases(8, types=accuracy.LATER)
    given += accuracy.cases(14, types=accuracy.BLOCKS)
    for isa in QUICK:
        check(isa, accuracy.measure(isa, given))


@pytest.mark.full
def test_gradients_at_the_papers_windows_at_the_beginning_and_after_an_epoch(one_thread):
    given = accuracy.cases(17, large=True)
    for isa in QUICK:
        check(isa, accuracy.measure(isa, given), share=0.99)


def test_an_error_is_found(cases):
    """The measure itself: a gradient that is off by 2% of its size is seen as just that."""

    def wrong(case):
        grads = accuracy.gradients(case)
        grads["out.w"] *= 1.02
        return grads

    with paths.use((paths.NATIVE or paths.TESTABLE)[-1]):  # in float32, at best no emulator
        (error,) = [e for e in accuracy.errors(cases[0], wrong) if e.tensor == "out.w"]
    assert error.ours == pytest.approx(0.02, rel=0.2)
    assert accuracy.within([error], 1e-2) == 0 and accuracy.worse([error], 2, FLOAT32) == [error]
