"""The block of docs/results.md about the paper's conclusions."""

import re

import pandas as pd

from blocks.common import TITLES, markdown, table
from charlens.store.tables import reasons

FEW = 20  # units: of fewer the number is given, not a share
CLAIMS = {  # the statement in words, and how its effect is read
    "depth helps": ("the better of two and three layers beats one", "nats"),
    "LSTM beats RNN": ("the LSTM beats the RNN; effect: at the largest size", "nats"),
    "GRU beats RNN": ("the GRU beats the RNN; effect: at the largest size", "nats"),
    "3 layers against 2 is mixed": ("neither three layers nor two lead at all sizes; effect: by "
                                    "how much the lead of two shrinks per doubling of size",
                                    "nats"),
    "LSTM against GRU is mixed": ("neither LSTM nor GRU leads at all sizes; effect: by how much "
                                  "the lead of the GRU shrinks per doubling of size", "nats"),
    "best network beats the n-gram": ("the best network beats the 20-gram", "nats"),
    "n-NN agrees with n-gram": ("n-NN and n-gram agree for small n; effect: how far apart they are "
                                "(agree: within 0.05)", "nats"),
    "n-NN falls behind": ("for larger n the n-NN falls behind", "nats"),
    "n-NN's loss rises": ("the n-NN’s loss rises at the largest n", "nats"),
    "n-NN overfits": ("for larger n the n-NN overfits; effect: the largest rise of a validation "
                      "loss after its lowest", "nats"),
    "deviations are small": ("the bootstrap deviation of every loss is below 0.004; effect: the "
                             "least and the largest", "nats"),
    "networks are small": ("the 20-gram’s file is far larger than the best network’s", "powers"),
    "RNNs lie apart": ("RNNs lie apart from LSTMs and GRUs", "ratio"),
    "long reach": ("gains are larger where long reach is needed than elsewhere", "probability"),
    "far braces": ("gains on a “}” far from its “{”", "probability"),
    "brace gain decays": ("the gain on a “}” decays beyond 60 characters", "probability"),
    "first a 1-NN, then more": ("early in training an LSTM resembles the 1-NN, then the 2-NN, "
                                "then the 3-NN", ""),
    "then a 4-NN and a 5-NN": ("the resemblance goes on to the 4-NN and the 5-NN", ""),
    "size removes n-gram errors": ("a larger LSTM mostly removes errors that an n-gram would not "
                                   "make", "share"),
    "interpretable cells exist": ("interpretable units exist", "strength"),
    "interpretable cells are used": ("most interpretable units are used, not only there (the paper "
                                     "leaves this open); effect: the share, against a half",
                                     "share"),
    "most cells are not": ("most units follow no hypothesis beyond both baselines", "share"),
    "forget gates remember": ("some forget gates are almost always open", "share"),
    "output gates move": ("no output gate in figure 3 is always open or always closed, at 99% of "
                          "the characters; effect: the largest share at which one is", "share"),
    "first GRU layer is one-sided": ("in the GRU’s first layer the reset gate is almost never "
                                     "right-saturated, the update gate almost never "
                                     "left-saturated", "share"),
    "first layer is diffuse": ("the LSTM’s gates are saturated less often in the first layer than "
                               "above; effect: by what share of the characters", "share"),
}  # fmt: skip
SAID = {"nats": "{} nats", "probability": "probability {}", "strength": "strength {}"}  # by unit
OUR_OWN = ("interpretable cells are used",)  # claims that the paper does not make
ONE_NETWORK = (  # claims about one network, or a small and a large one
    "long reach", "far braces", "brace gain decays", "first a 1-NN, then more",
    "then a 4-NN and a 5-NN", "size removes n-gram errors", "interpretable cells exist",
    "interpretable cells are used", "most cells are not", "forget gates remember",
    "output gates move", "first GRU layer is one-sided", "first layer is diffuse",
)  # fmt: skip
FOUND_INSTEAD = {  # of a claim whose effect says little: what its basis says in its place
    "deviations are small": r"[\d.]+ to [\d.]+",
    "networks are small": r"[\d,]+ times",
}
BESIDE = (  # what a basis says of a part of the grid
    r"size [\d, ]+: the \w+ leads|size [\d, ]+: not shown",
    r"(?:the GRU|the LSTM|two layers|three layers) ahead at size [\d, ]*\d"
    r"(?:; neither ahead at size [\d, ]*\d)?",
    r"capacity limits .*?n-NNs",
    r"the snapshots start too late or end too early to tell",
)


def effect(row, unit: str) -> str:
    """A verdict, why it is none, its effect with its interval and, in brackets, the paper's."""
    if not unit or pd.isna(row.effect):
        return verdict_of(row)
    share = unit == "share"
    few = re.search(r"\b(\d+) of (\d+) units\b", row.basis) if share else None
    if few and int(few[2]) >= FEW:
        few = None
    places = 0 if few else 2 if abs(row.effect) < 0.01 else 1
    low, high = (format(x, f".{places}%" if share else "+.3f") for x in (row.low, row.high))
    between = f" ({low} to {high})" if low != high else ""  # whose ends read the same is none
    form = "+.3f" if unit == "probability" else ".3f"
    value = format(row.effect, f".{places if between else 0}%" if share else form)
    if instead := re.search(FOUND_INSTEAD.get(row.get("claim"), "(?!)"), row.basis):
        value, between = instead.group(), ""
    elif few:
        value = few.group()
    said = SAID.get(unit, "{}").format(value) + between
    paper = "" if pd.isna(row.paper) else f"paper {row.paper:.3f}"
    beside = [found.group() for form in BESIDE if (found := re.search(form, row.basis))]
    return "; ".join(filter(None, [f"{verdict_of(row)}: {said}", paper, *beside]))


def verdict_of(row) -> str:
    """A verdict; from which size on, or why there is none."""
    start = row.basis.split(";")[0]
    if start.startswith("from size"):
        return f"{row.verdict} {start}"
    reason = getattr(row, "reason", "")
    return f"{row.verdict} ({reason})" if isinstance(reason, str) and reason else row.verdict


def claims() -> str:
    found = table("tables/claims.csv")
    found["reason"] = reasons(found)
    rows = []
    for claim in dict.fromkeys(found["claim"]):
        words, unit = CLAIMS.get(claim, (claim, "nats"))
        own = found[found["claim"] == claim].set_index("where", drop=False)
        cells = [
            "; ".join(
                [
                    effect(own.loc[c], unit),
                    *of_network(own.loc[c]),
                    *over_networks(own, c),
                    *of_characters(own, c),
                    *of_sizes(own, c),
                ]
            )
            if c in own.index
            else "–"
            for c in TITLES
        ]
        rows.append([words, *cells])
    return markdown(["the paper concludes", *TITLES.values()], rows)


def of_network(row) -> list[str]:
    """The network of a claim that rests on one network (or two), where its basis names it."""
    named = re.findall(r"\b(?:LSTM|GRU|RNN) \dx\d+", row.basis)
    return [" to ".join(dict.fromkeys(named))] if row.claim in ONE_NETWORK and named else []


def over_networks(findings: pd.DataFrame, corpus: str) -> list[str]:
    """In how many networks of the grid such a claim holds, where they were looked at."""
    where = f"{corpus}: over networks"
    said = findings.loc[where, "basis"] if where in findings.index else ""
    counted = re.match(r"in \d+ of \d+ networks", said)
    by = re.search(r"strength on (?P<of>[\w ]+) by its|constant (?P<at>at \d+%)", said)
    what = "" if by is None else f" (a unit for {by['of']})" if by["of"] else f" ({by['at']})"
    return [counted.group() + what] if counted else []


def of_characters(findings: pd.DataFrame, corpus: str) -> list[str]:
    """Of the claim about characters that need a long reach: of which it does not hold."""
    parts = findings[findings["claim"] == "long reach"]
    parts = parts[parts["verdict"] == "does not hold"]
    against = [w.partition(": ")[2] for w in parts["where"] if w.startswith(f"{corpus}: ")]
    return [f"not for {', '.join(against)}"] if against else []


def of_sizes(findings: pd.DataFrame, corpus: str) -> list[str]:
    """Of the claim that RNNs lie apart: at which sizes that is not shown."""
    parts = findings[(findings["claim"] == "RNNs lie apart") & (findings["verdict"] != "holds")]
    sizes = [w.partition(": size ")[2] for w in parts["where"] if w.startswith(f"{corpus}: ")]
    return [f"not shown at size {', '.join(sizes)}"] if sizes else []
