"""Gradients of the backend in use against float64, beside stock bfloat16 autocast."""

import accuracy
import pytest
import torch

# float32 rounding: nothing below it counts as worse than autocast
FLOOR = 1e-5


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def check(found):
    """99% of the tensors are within 1e-2, and none is off by more than twice what autocast makes
    of the same case."""
    assert accuracy.within(found, 1e-2) >= 0.99
    assert not accuracy.worse(found, 2, FLOOR)


def test_gradients_over_two_hundred_random_shapes_and_states():
    found = accuracy.measure(204)
    assert len({error.case for error in found if not error.trained}) > 90
    for trained in (False, True):
        check([error for error in found if error.trained == trained])


@pytest.mark.full
def test_gradients_at_the_papers_windows_at_the_beginning_and_after_an_epoch():
    check(accuracy.measure(204, large=True))


def test_an_error_is_found():
    """The measure itself: a gradient that is off by 2% of its size is seen as just that."""
    training = accuracy.begin(0, large=False)
    compute = training.backend.loss_and_grads

    def wrong(params, x, y, state, dropout, grads):
        loss = compute(params, x, y, state, dropout, grads)
        grads["out.w"] *= 1.02
        return loss

    training.backend.loss_and_grads = wrong
    (error,) = [e for e in accuracy.errors(training, 0.0, False) if e.tensor == "out.w"]
    assert error.ours == pytest.approx(0.02, rel=0.2)
    assert accuracy.within([error], 1e-2) == 0 and accuracy.worse([error], 2, FLOOR) == [error]
