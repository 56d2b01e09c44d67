"""The bootstrap against theory and constructed cases."""

import math

import numpy as np
import pytest

from charlens.statistics import bootstrap
from charlens.statistics.bootstrap import bootstrap_sd, interval, stream_draws
from charlens.statistics.information import bits


def test_mean_of_bernoulli_losses():
    n, p = 2000, 0.3
    losses = (np.random.default_rng(1).random((1, n)) < p).astype(float)
    sd = bootstrap_sd(losses, 1000, seed=0)
    # The sd of a sd from 1000 samples is 1 / sqrt(2000) of it; the bound is four of those.
    assert sd == pytest.approx(losses.std() / math.sqrt(n), rel=0.09)


def test_a_constant_loss_has_no_deviation():
    assert bootstrap_sd(np.full((2, 50), 1.7), 20, seed=0) == pytest.approx([0, 0], abs=1e-12)


def test_two_positions_by_hand():
    # The mean of two draws from {0, 1} is 0, 1/2, 1 with probability 1/4, 1/2, 1/4: variance 1/8.
    assert bootstrap_sd([[0.0, 1.0]], 4000, seed=0) == pytest.approx([math.sqrt(1 / 8)], rel=0.05)


def test_models_are_paired():
    losses = np.random.default_rng(2).random((1, 500))
    both = np.concatenate([losses, losses + 3, 2 * losses])
    sd = bootstrap_sd(both, 50, seed=0)
    assert sd[1] == pytest.approx(sd[0])
    assert sd[2] == pytest.approx(2 * sd[0])
    # The same samples whatever models stand beside it.
    assert bootstrap_sd(losses, 50, seed=0)[0] == pytest.approx(sd[0])


def test_seed_decides():
    losses = np.random.default_rng(3).random((3, 200))
    assert np.array_equal(bootstrap_sd(losses, 30, 5), bootstrap_sd(losses, 30, 5))
    assert not np.array_equal(bootstrap_sd(losses, 30, 5), bootstrap_sd(losses, 30, 6))


def test_float32_losses_keep_their_digits():
    losses = np.random.default_rng(4).random((1, 1000))
    shifted = bootstrap_sd((losses + 1000).astype(np.float32), 40, 0)
    assert shifted == pytest.approx(bootstrap_sd(losses, 40, 0), rel=1e-3)


def test_bits():
    assert bits(math.log(8)) == pytest.approx(3)


def test_draws_take_as_many_streams_as_there_are():
    draws = stream_draws(7, 1000, 0)
    assert draws.shape == (1000, 7) and (draws.sum(axis=1) == 7).all()
    assert draws.mean(axis=0) == pytest.approx(np.ones(7), abs=0.15)
    assert not np.array_equal(draws, stream_draws(7, 1000, 1))


def test_neighbours_are_drawn_together():
    draws = stream_draws(25, 2000, 0, block=10)
    assert draws.shape == (2000, 25) and (draws.sum(axis=1) == 25).all()
    assert draws.mean(axis=0) == pytest.approx(np.ones(25), abs=0.1)
    together = np.corrcoef(draws.T)
    assert together[0, 1] > 0.7 < together[0, 24] and together[0, 12] < 0


def test_an_interval_covers_a_text_whose_neighbouring_pieces_are_alike():
    """An autoregressive series, as the losses of pieces of one text are: lag 1 is 0.6."""
    rng, trials = np.random.default_rng(0), 300
    covered = {1: 0, 10: 0}
    for _ in range(trials):
        noise = rng.normal(size=300)
        losses = np.zeros(300)
        for t in range(1, 300):
            losses[t] = 0.6 * losses[t - 1] + noise[t]
        losses = losses[200:]
        for block in covered:
            low, high = interval(stream_draws(100, 400, 1, block) @ losses / 100)
            covered[block] += low < 0 < high
    assert covered[1] / trials < 0.75 and covered[10] / trials > 0.83


def test_streams_of_a_text_in_one_piece_are_neighbours():
    y = np.zeros((20, 50), np.uint8)
    apart, together = ({"test_y": y, "test_at": np.arange(20) * n} for n in (500, 50))
    assert np.array_equal(bootstrap.draws_of_test(apart, 100, 3), stream_draws(20, 100, 3))
    assert np.array_equal(bootstrap.draws_of_test(together, 100, 3), stream_draws(20, 100, 3, 10))


@pytest.mark.parametrize("streams", [1, 2, 6, 10, 12])
def test_of_few_neighbours_not_all_are_drawn_together(streams):
    split = {"test_y": np.zeros((streams, 50), np.uint8), "test_at": np.arange(streams) * 50}
    draws = bootstrap.draws_of_test(split, 200, 0)
    assert (draws.sum(axis=1) == streams).all() and (streams == 1 or draws.std() > 0)


def test_interval_is_the_percentiles():
    assert interval(np.arange(1001.0)) == pytest.approx((25, 975))
    assert interval(np.arange(1001.0), 0.5) == pytest.approx((250, 750))
