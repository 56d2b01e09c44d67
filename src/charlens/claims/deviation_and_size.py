"""Claims about tables 1 and 2 besides their losses: the deviation of a loss, the size of files."""

import math

import numpy as np

from charlens.claims.evidence import Evidence, Missing
from charlens.claims.measure import FAILS, HOLDS, Finding, plural
from charlens.store.scores import Score

DEVIATION = 4e-3  # nats: the paper's bound
FACTOR = 100  # files of gigabytes against files of megabytes: at least this many times larger


def deviations_are_small(evidence: Evidence) -> list[Finding]:
    """Effect: 0.004 minus the largest bootstrap deviation of a network's test loss; nats per
    character. The claim holds if that is positive. The paper's bootstrap draws single characters,
    as if they were independent; the part draws whole test streams, and shows what that leaves out.
    """
    if not evidence.networks:
        raise Missing("a trained recurrent network")
    ways = {"": character_deviation, "whole streams": stream_deviation}
    words = {"": "single characters", "whole streams": "whole streams"}
    findings = []
    for part, deviation in ways.items():
        found = {score.key.label: deviation(evidence, score) for score in evidence.networks}
        worst = max(found, key=found.get)
        left = DEVIATION - found[worst]
        basis = (
            f"{plural(len(found), 'network')}, each seed by itself; drawing {words[part]}:"
            f" {min(found.values()):.4f} to {found[worst]:.4f}, most for {worst}"
        )
        verdict = HOLDS if left > 0 else FAILS
        findings.append(Finding(part, verdict, left, math.nan, math.nan, basis))
    return findings


def character_deviation(evidence: Evidence, score: Score) -> float:
    """The limit of the bootstrap over characters for many samples: SD of the losses / sqrt(N)."""
    if score.logp is not None:
        return float(score.logp.std(dtype=np.float64)) / math.sqrt(score.logp.size)
    if "sd" not in score.meta["digest"]:
        raise Missing("the deviations of test losses")
    return score.meta["digest"]["sd"]


def stream_deviation(evidence: Evidence, score: Score) -> float:
    """The deviation of the loss over the drawn streams (`Evidence.draws`)."""
    streams = len(evidence.split["test_y"])
    return float((evidence.draws @ score.stream_losses(streams) / streams).std(ddof=1))


def networks_are_small(evidence: Evidence) -> list[Finding]:
    """Effect: how many powers of ten the ARPA file of the longest n-gram model is larger than the
    file of the best network (lowest validation loss). The claim holds if it is at least 100 times
    larger. Sizes of files are exact, so no interval."""
    best, ngram = evidence.best(), evidence.largest_ngram()
    if not best.meta.get("bytes") or not ngram.meta.get("arpa_bytes"):
        raise Missing("the sizes of model files")
    times = ngram.meta["arpa_bytes"] / best.meta["bytes"]
    words = (
        f"{ngram.key.name} {ngram.meta['arpa_bytes'] / 1e9:.2f} GB as ARPA text,"
        f" {best.key.name} {best.meta['bytes'] / 1e6:.1f} MB: {times:,.0f} times;"
        " one network, one seed"
    )
    verdict = HOLDS if times >= FACTOR else FAILS
    return [Finding("", verdict, math.log10(times), math.nan, math.nan, words)]
