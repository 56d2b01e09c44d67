"""Claims about deviations, file sizes, and networks that predict alike."""

import numpy as np
import pytest
from constructed import LENGTH, S, evidence, network, ngram, part, probable, published, whole

from charlens.claims import deviation_and_size, likeness
from charlens.claims.evidence import Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED


def test_deviations():
    # losses that are the same within a stream: whole streams vary more than single characters do
    noise = 0.1
    e = evidence(network("lstm", 1, 64, 1.4, noise=noise), network("rnn", 1, 64, 1.4, noise=0.01))
    findings = deviation_and_size.deviations_are_small(e)
    assert whole(findings).verdict == HOLDS and part(findings, "whole streams").verdict == FAILS
    single, streams = (0.004 - found.effect for found in findings)
    assert single == pytest.approx(noise / np.sqrt(S * LENGTH), rel=0.3)
    assert streams == pytest.approx(single * np.sqrt(LENGTH), rel=0.1)
    assert "most for LSTM 1x64" in whole(findings).basis and "2 networks" in whole(findings).basis
    loud = evidence(network("lstm", 1, 64, 1.4, noise=0.4))
    assert whole(deviation_and_size.deviations_are_small(loud)).verdict == FAILS
    digests = evidence(*[published(score) for score in e.scores])
    again = deviation_and_size.deviations_are_small(digests)
    assert [f.effect for f in again] == pytest.approx([f.effect for f in findings], abs=1e-5)
    with pytest.raises(Missing):
        deviation_and_size.deviations_are_small(evidence())


@pytest.mark.parametrize(("times", "verdict"), [(600, HOLDS), (50, FAILS)])
def test_file_sizes(times, verdict):
    large = ngram(20, 1.2)
    large.meta["arpa_bytes"] = times * 5_000_000
    best = network("gru", 2, 64, 1.1, bytes=5_000_000)
    e = evidence(best, network("lstm", 1, 64, 1.4, bytes=9), ngram(2, 1.9), large)
    found = whole(deviation_and_size.networks_are_small(e))
    assert found.verdict == verdict and found.effect == pytest.approx(np.log10(times))
    assert "GRU 2x64 5.0 MB" in found.basis
    with pytest.raises(Missing, match="sizes"):
        deviation_and_size.networks_are_small(evidence(best, ngram(20, 1.2)))


def alike(rnn, seed=0):
    """Networks of two sizes whose RNNs are `rnn` times as far from the others as these are."""
    random = np.random.default_rng(seed)
    base, direction = random.uniform(0.4, 0.6, (2, S * LENGTH))
    direction -= direction.mean()
    found = []
    for size in (64, 128):
        for type in ("lstm", "rnn", "gru"):
            for layers in (1, 2, 3):
                own = 0.02 * random.normal(size=S * LENGTH)
                shift = (type == "rnn") * rnn * 0.2 * direction
                about = {"family": "recurrent", "type": type, "layers": layers, "size": size}
                value = base + own + shift + 0.1 * (size == 128)
                name = f"{type}{layers}{size}"
                found.append(probable(name, value, **about, seed=1, val_loss=1.0))
    return found


def test_rnns_lie_apart():
    found = whole(likeness.rnns_lie_apart(evidence(*alike(rnn=2))))
    assert found.verdict == HOLDS and 0 < found.low < found.effect
    assert "18 networks, 1 seed each" in found.basis
    assert "LSTM, RNN, GRU 1x64, 2x64, 3x64, 1x128" in found.basis
    same = whole(likeness.rnns_lie_apart(evidence(*alike(rnn=0))))
    assert same.verdict == UNDECIDED and abs(same.effect) < 0.05
    # now the LSTMs lie apart, and the RNNs among the others
    apart = alike(rnn=2)
    other = {"rnn": "lstm", "lstm": "rnn"}
    for score in apart:
        score.meta["type"] = other.get(score.meta["type"], "gru")
    assert whole(likeness.rnns_lie_apart(evidence(*apart))).verdict == FAILS


def test_likeness_from_sketches():
    scores = alike(rnn=2)
    e, digests = evidence(*scores), evidence(*[published(score) for score in scores])
    here, there = (whole(likeness.rnns_lie_apart(known)) for known in (e, digests))
    assert there.verdict == here.verdict and there.effect == pytest.approx(here.effect, rel=0.2)
    with pytest.raises(Missing, match="LSTM, GRU and RNN"):
        likeness.rnns_lie_apart(evidence(*scores[:3]))
    del digests.scores[0].meta["digest"]["sketch"]  # as in the paper, which gives losses alone
    with pytest.raises(Missing, match="sketches"):
        likeness.rnns_lie_apart(evidence(*digests.scores))


def test_a_networks_seeds_count_once():
    scores = alike(rnn=2)
    twice = [probable(f"{s.path}-2", np.exp(s.logp), **(s.meta | {"seed": 2})) for s in scores[:3]]
    found = whole(likeness.rnns_lie_apart(evidence(*scores, *twice)))
    assert "21 networks: 18 entries, 1 to 2 seeds each" in found.basis and found.verdict == HOLDS
