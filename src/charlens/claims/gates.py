"""Claims about gates (section 4.2, figure 3), of the LSTM that gates.csv names."""

import numpy as np
import pandas as pd

from charlens.claims.evidence import Evidence, Missing
from charlens.claims.measure import FAILS, HOLDS, Effect, Finding
from charlens.statistics.bootstrap import interval
from charlens.statistics.intervals import share_interval
from charlens.store.models import network_name
from charlens.units.unit_tables import ALWAYS

SAMPLES = 2000  # of the bootstrap over units


def lstm_gates(evidence: Evidence, gates: str) -> pd.DataFrame:
    """The saturation of these gates of the LSTM, one row per unit.

    gates: letters among i, f, o. Raises Missing where gates.csv lacks them.
    """
    if evidence.gates is None or evidence.gates.empty:
        raise Missing("the saturation of gates (tables/gates.csv)")
    units = evidence.gates[
        (evidence.gates["type"] == "lstm") & evidence.gates["gate"].str[0].isin(list(gates))
    ]
    if units.empty:
        raise Missing("the saturation of an LSTM's gates (tables/gates.csv)")
    return units


def name(units: pd.DataFrame) -> str:
    """The network whose gates these are."""
    layers, size = units[["layers", "size"]].iloc[0]
    return network_name("lstm", layers, size)


def forget_gates_stay_open(evidence: Evidence) -> list[Finding]:
    """Effect: the share of units whose forget gate is right-saturated (above 0.9) at 95% or more of
    the test characters. The claim holds if there is at least one."""
    units = lstm_gates(evidence, "f")
    stay = units["right"] >= ALWAYS
    most = f"the most open at {units['right'].max():.1%}"
    return [share_finding(HOLDS if stay.any() else FAILS, units, stay, "forget", most)]


def output_gates_move(evidence: Evidence) -> list[Finding]:
    """Effect: the share of units whose output gate is open (above 0.9), or closed (below 0.1), at
    95% or more of the test characters. The claim holds if there is none."""
    units = lstm_gates(evidence, "o")
    constant = units[["left", "right"]].max(axis=1)
    stay = constant >= ALWAYS
    most = f"the most constant at {constant.max():.1%}"
    return [share_finding(FAILS if stay.any() else HOLDS, units, stay, "output", most)]


def share_finding(
    verdict: str, units: pd.DataFrame, stay: pd.Series, gate: str, most: str
) -> Finding:
    """The share of units whose gate stays saturated, with Wilson's interval.

    stay: bool, one per unit. gate: its name. most: the most extreme unit, in words.
    """
    low, high = share_interval(int(stay.sum()), len(units))
    words = f"{name(units)}: {stay.sum()} of {len(units)} {gate} gates; {most}"
    return Finding("", verdict, stay.mean(), low, high, words)


def first_layer_is_diffuse(evidence: Evidence) -> list[Finding]:
    """Effect: the share of test characters at which the LSTM's gates are not saturated, first layer
    minus higher layers. The interval resamples units, not streams, and does not cover seeds."""
    gates = lstm_gates(evidence, "ifo")
    between = 1 - gates["left"] - gates["right"]
    lowest = gates["layer"].min()
    first, higher = between[gates["layer"] == lowest], between[gates["layer"] > lowest]
    if higher.empty:
        raise Missing("an LSTM of two layers or more")
    random = np.random.default_rng(0)
    drawn = [
        values.to_numpy()[random.integers(len(values), size=(SAMPLES, len(values)))].mean(axis=1)
        for values in (first, higher)
    ]
    effect = Effect(first.mean() - higher.mean(), *interval(drawn[0] - drawn[1]))
    shares = f"{first.mean():.0%} of the time in the first layer, {higher.mean():.0%} above"
    return [effect.finding("", effect.verdict(), f"{name(gates)}: {shares}")]
