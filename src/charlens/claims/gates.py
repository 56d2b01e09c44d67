"""Claims about gates (section 4.2, figure 3), of the networks that gates.csv names.

There is one network of each type, so an interval resamples its units and is about this network: it
covers neither seeds nor the choice of the network. What the others say stands beside it (see
`over_networks`).
"""

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from charlens.claims.evidence import Evidence, Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED, Effect, Finding
from charlens.claims.over_networks import STANDS, beside, counted, measures, one_of
from charlens.statistics.bootstrap import interval
from charlens.statistics.intervals import share_interval
from charlens.store.models import network_name
from charlens.store.tables import ALWAYS
from charlens.units.inside_table import NETWORK

SAMPLES = 2000  # of the bootstrap over units
BARS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # shares of the test characters
CONSTANT = 0.99  # an output gate saturated on one side at this share never moves
RARELY = 0.05  # "almost never": less than this share of the test characters


def gates_of(evidence: Evidence, type: str, gates: str) -> pd.DataFrame:
    """The saturation of these gates of the network of a type, one row per unit.

    gates: letters among i, f, o (LSTM) or r, z (GRU). Raises Missing where gates.csv lacks them.
    """
    evidence.require(type=(type,))
    if evidence.gates is None or evidence.gates.empty:
        raise Missing("the saturation of gates (tables/gates.csv)")
    units = evidence.gates[
        (evidence.gates["type"] == type) & evidence.gates["gate"].str[0].isin(list(gates))
    ]
    if units.empty:
        raise Missing(f"the saturation of the gates of a network of type {type} (tables/gates.csv)")
    return units


def name(evidence: Evidence, units: pd.DataFrame) -> str:
    """The network whose gates these are."""
    type, layers, size = units[["type", "layers", "size"]].iloc[0]
    return f"{one_of(evidence, type)}, {network_name(type, layers, size)}, one seed"


def over_gates(
    evidence: Evidence, type: str, which: list[str], some: bool, what: str
) -> list[Finding]:
    """In how many networks of a type some gates are always saturated, or none is.

    which: the measures of the gates (see `units.inside`), of which the largest counts.
    """
    networks = measures(evidence, type)
    if not set(which) <= set(networks):
        return []
    shares = networks[which].dropna().max(axis=1)
    return counted(type, (shares > 0) == some, shares, what)


def forget_gates_stay_open(evidence: Evidence) -> list[Finding]:
    """Effect: the share of units whose forget gate is right-saturated (above 0.9) at 95% or more of
    the test characters. The claim holds if there is at least one. The interval is Wilson's, over
    the units of this network."""
    units = gates_of(evidence, "lstm", "f")
    stay = units["right"] >= ALWAYS
    most = f"the most open at {units['right'].max():.1%}"
    verdict = HOLDS if stay.any() else FAILS
    findings = [share_finding(evidence, "", verdict, units, stay, "forget", most)]
    what = f"share of the forget gates that are open at {ALWAYS:.0%} of the characters or more,"
    return beside(findings, over_gates(evidence, "lstm", ["always right f"], True, what))


def output_gates_move(evidence: Evidence) -> list[Finding]:
    """A gate's constancy is the share of the test characters at which it is open (above 0.9), or
    that at which it is closed (below 0.1), whichever is larger. Effect: the largest constancy of
    an output gate. The claim holds if that is below 99%. Each part gives the share of output gates
    whose constancy reaches a bar, with Wilson's interval over the units of this network; at a bar,
    the claim holds if there is none. Over networks the bar is 95%, that of their short
    measures: a network with a gate beyond it does not contradict one without any at 99%, so that
    only a claim that does not hold can become undecided by them."""
    units = gates_of(evidence, "lstm", "o")
    constancy = units[["left", "right"]].max(axis=1)
    most = constancy.idxmax()
    side = "open" if units.loc[most, "right"] == constancy[most] else "closed"
    words = f"{name(evidence, units)}: the most constant of {len(units)} output gates is {side} at"
    words += f" {constancy[most]:.1%} of the characters"
    verdict = HOLDS if constancy[most] < CONSTANT else FAILS
    findings = [Finding("", verdict, constancy[most], math.nan, math.nan, words)]
    for bar in BARS:
        stay = constancy >= bar
        verdict = FAILS if stay.any() else HOLDS
        part = f"bar {bar:.0%}"
        findings.append(share_finding(evidence, part, verdict, units, stay, "output"))
    which = ["always left o", "always right o"]
    what = f"share of the output gates that are constant at {ALWAYS:.0%} of the characters or more,"
    others = over_gates(evidence, "lstm", which, False, what)
    return beside(findings, others) if findings[0].verdict == FAILS else [*findings, *others]


def share_finding(
    evidence: Evidence,
    part: str,
    verdict: str,
    units: pd.DataFrame,
    stay: pd.Series,
    gate: str,
    *more: str,
) -> Finding:
    """The share of units whose gate stays saturated, with Wilson's interval.

    stay: bool, one per unit. gate: its name. more: for the basis.
    """
    low, high = share_interval(int(stay.sum()), len(units))
    words = f"{name(evidence, units)}: {stay.sum()} of {len(units)} {gate} gates"
    basis = "; ".join([words, *more, "interval over its units"])
    return Finding(part, verdict, stay.mean(), low, high, basis)


def first_layer_is_diffuse(evidence: Evidence) -> list[Finding]:
    """Effect: the share of test characters at which the LSTM's gates are not saturated, first layer
    minus higher layers. The interval resamples units, each with all its gates, not streams, and
    does not cover seeds."""
    evidence.require(layers=())
    gates = gates_of(evidence, "lstm", "ifo")
    between = 1 - gates["left"] - gates["right"]
    of_unit = between.groupby([gates["layer"], gates["unit"]]).mean()
    layer = of_unit.index.get_level_values("layer")
    first, higher = of_unit[layer == layer.min()], of_unit[layer > layer.min()]
    if higher.empty:
        raise Missing("an LSTM of two layers or more")
    random = np.random.default_rng(0)
    drawn = [resampled_means(values, random) for values in (first, higher)]
    effect = Effect(first.mean() - higher.mean(), *interval(drawn[0] - drawn[1]))
    shares = f"{first.mean():.0%} of the time in the first layer, {higher.mean():.0%} above"
    words = f"{name(evidence, gates)}: {shares}; interval over its units"
    return beside([effect.finding("", effect.verdict(), words)], over_layers(evidence))


def over_layers(evidence: Evidence) -> list[Finding]:
    """In how many LSTMs of two layers or more the gates of the first are less saturated."""
    parts = []
    if evidence.inside is None:
        return []
    for layer in sorted(set(evidence.inside["layer"].astype(str)) - {"all"}, key=int):
        networks = measures(evidence, "lstm", layer)
        sides = [f"{side} {gate}" for side in ("left", "right") for gate in "ifo"]
        if set(sides) <= set(networks):
            own = networks.set_index(NETWORK)[sides]
            parts.append((1 - own.sum(axis=1, skipna=False) / 3).rename(layer))
    if len(parts) < 2:
        return []
    first, *higher = pd.concat(parts, axis=1).T.to_numpy()
    less = pd.Series(first - pd.DataFrame(higher).mean().to_numpy()).dropna()
    what = "share of the time between the bounds, first layer less those above,"
    return counted("lstm", less > 0, less, what)


def resampled_means(values: pd.Series, random: np.random.Generator) -> np.ndarray:
    """Means of bootstrap samples of the values, [SAMPLES]."""
    return values.to_numpy()[random.integers(len(values), size=(SAMPLES, len(values)))].mean(axis=1)


def first_gru_layer_is_one_sided(evidence: Evidence) -> list[Finding]:
    """Effect: the share of the test characters at which the first layer of the GRU saturates the
    reset gate to the right (above 0.9), or the update gate to the left (below 0.1), mean over
    units. A part holds if the whole interval is below 5%, and does not if it is all above. The
    overall finding is the part with the larger share. The interval resamples units, not streams,
    and does not cover seeds."""
    gates = gates_of(evidence, "gru", "rz")
    random = np.random.default_rng(0)
    parts = []
    for part, gate, side in (("reset, right", "r", "right"), ("update, left", "z", "left")):
        own = gates[gates["gate"] == gate]
        first = own[side][own["layer"] == own["layer"].min()]
        above = own[side][own["layer"] > own["layer"].min()]
        effect = Effect(first.mean(), *interval(resampled_means(first, random)))
        verdict = HOLDS if effect.high < RARELY else FAILS if effect.low > RARELY else UNDECIDED
        higher = f", {above.mean():.1%} in higher layers" if len(above) else ""
        words = f"{name(evidence, own)}: {first.mean():.1%} of the time{higher}"
        words += "; interval over its units"
        parts.append(effect.finding(part, verdict, words))
    worst = max(parts, key=lambda found: found.effect)
    whole = replace(worst, part="", basis=f"{worst.part}: {worst.basis}")
    return beside([whole, *parts], over_first_layers(evidence))


def over_first_layers(evidence: Evidence) -> list[Finding]:
    """In how many GRUs of two layers or more the first is one-sided: the only layer of a network
    does the work of the higher ones, too."""
    networks = measures(evidence, "gru", "1")
    sides = ["right r", "left z"]
    if not set(sides) <= set(networks):
        return []
    larger = networks[networks["layers"] > 1][sides].dropna().max(axis=1)
    what = "the larger of both shares of the time in the first layer,"
    return counted("gru", larger < RARELY, larger, what)


for test in (
    forget_gates_stay_open,
    output_gates_move,
    first_layer_is_diffuse,
    first_gru_layer_is_one_sided,
):
    test.__doc__ = f"{test.__doc__} {STANDS}"
