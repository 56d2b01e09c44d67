"""Uncertainty of a test loss, and its units."""

import math

import numpy as np


def bootstrap_sd(losses: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """Standard deviation of each model's mean loss over bootstrap samples of the test set.

    losses [M, N]: the loss of M models at the same N test characters (nats). Returns [M], in the
    same unit. Each of the samples draws N positions with replacement, the same ones for every
    model, so the models stay paired. Source: caption of the paper's Figure 1 (100 samples).
    """
    losses = np.asarray(losses, dtype=np.float64)
    n = losses.shape[1]
    # A constant shift leaves the deviation alone and saves the digits that it would cost.
    losses = losses - losses.mean(axis=1, keepdims=True)
    rng = np.random.default_rng(seed)
    means = np.empty((samples, len(losses)))
    for sample in range(samples):
        # How often each position was drawn says all: no resampled copy of the losses is made.
        counts = np.bincount(rng.integers(n, size=n), minlength=n)
        means[sample] = losses @ counts.astype(np.float64) / n
    return means.std(axis=0, ddof=1)


def bits(nats):
    """Nats as bits."""
    return nats / math.log(2)
