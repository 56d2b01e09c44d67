"""Uncertainty by resampling the test set."""

import numpy as np

BLOCK = 10  # streams of a test text in one piece that are drawn together


def bootstrap_sd(losses: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """Standard deviation of each model's mean loss over bootstrap samples of the test set.

    losses [M, N]: the losses of M models at the same N test characters (nats). Returns float64 [M]
    in the same unit. Each sample draws N positions with replacement, the same for every model, so
    the models stay paired. Source: caption of figure 1 (100 samples).
    """
    losses = np.asarray(losses, dtype=np.float64)
    n = losses.shape[1]
    # The mean does not change the deviation; without it no digits are lost.
    losses = losses - losses.mean(axis=1, keepdims=True)
    rng = np.random.default_rng(seed)
    means = np.empty((samples, len(losses)))
    for sample in range(samples):
        # Counting how often each position was drawn saves a resampled copy of the losses.
        counts = np.bincount(rng.integers(n, size=n), minlength=n)
        means[sample] = losses @ counts.astype(np.float64) / n
    return means.std(axis=0, ddof=1)


def stream_draws(streams: int, samples: int, seed: int, block: int = 1) -> np.ndarray:
    """The number of times that each bootstrap sample draws each of S streams, float64 [samples, S].

    Characters are not independent, so whole streams are drawn. The same draws for all models keep
    them paired; given sums [S] over each stream, `draws @ sums` holds the sums of each sample.
    block: how many neighbouring streams are drawn together, the last and the first being neighbours
    (circular block bootstrap).
    """
    random = np.random.default_rng(seed)
    if block == 1:
        shares = np.full(streams, 1 / streams)
        return random.multinomial(streams, shares, size=samples).astype(np.float64)
    first = random.integers(streams, size=(samples, -(-streams // block), 1))
    drawn = ((first + np.arange(block)) % streams).reshape(samples, -1)[:, :streams]
    return np.stack([np.bincount(row, minlength=streams) for row in drawn]).astype(np.float64)


def draws_of_test(split: dict[str, np.ndarray], samples: int, seed: int) -> np.ndarray:
    """`stream_draws` of the test streams of a split (see `corpora.read_split`).

    Where the test text is in one piece (the contiguous split layout), neighbouring streams are
    about the same, and their losses alike: there BLOCK of them are drawn together, or half of all
    where there are fewer.
    """
    at, length = split["test_at"], split["test_y"].shape[1]
    in_one_piece = len(at) > 1 and bool((np.diff(at) == length).all())
    return stream_draws(len(at), samples, seed, min(BLOCK, len(at) // 2) if in_one_piece else 1)


def interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of bootstrap values [samples]: its lower and upper end."""
    outside = 100 * (1 - level) / 2
    low, high = np.percentile(draws, [outside, 100 - outside])
    return float(low), float(high)
