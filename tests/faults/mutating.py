"""Mutations for fuzzing, drawn by Hypothesis: of bytes, and of what is inside a JSON object."""

import copy
import math

from hypothesis import strategies as st

NUMBERS = (-1, 0, 1, 2, 255, 256, 2**31, 2**32, 2**63, 10**30, -(2**63), 0.5, 1e308, -1e-300)
ODD = st.one_of(
    st.sampled_from(NUMBERS),
    st.none(),
    st.booleans(),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.sampled_from(["", "x", "../../x", "/etc/passwd", "a\nb", "\0", "ü", "1", "-1", "{0}", "00"]),
    st.text(max_size=5),
    st.just("9" * 400),
    st.sampled_from([[], {}, [[]], [1, "x"], {"x": 1}]),
)


@st.composite
def changed_bytes(draw, content: bytes) -> bytes:
    """Bytes with one to three bits, bytes or stretches changed."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        end = min(len(content), at + draw(st.sampled_from([1, 4, 100])))
        how = draw(st.sampled_from(["flip", "cut", "lose", "insert", "zeros", "twice", "ones"]))
        if how == "flip" and content:
            flipped = content[at] ^ 1 << draw(st.integers(0, 7))
            content = content[:at] + bytes([flipped]) + content[at + 1 :]
        elif how == "cut":
            content = content[:at]
        elif how == "lose":
            content = content[:at] + content[end:]
        elif how == "insert":
            content = content[:at] + draw(st.binary(min_size=1, max_size=9)) + content[at:]
        elif how == "twice":
            content = content[:end] + content[at:]
        else:
            filler = b"\0" if how == "zeros" else b"\xff"
            content = content[:at] + filler * (end - at) + content[end:]
    return content


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The paths of everything inside a JSON value."""
    found = []
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            found += [(*path, key), *places(one, (*path, key))]
    return found


@st.composite
def changed_json(draw, value: dict | list) -> dict | list:
    """A JSON object with one to three fields missing, renamed, added or of another value."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        if not (paths := places(value)):
            return value
        *path, key = draw(st.sampled_from(paths))
        parent = value
        for step in path:
            parent = parent[step]
        how = draw(st.sampled_from(["lose", "odd", "odd", "near", "add", "swap"]))
        old = parent[key]
        if how == "lose":
            del parent[key]
        elif how == "near" and type(old) in (int, float):
            parent[key] = draw(st.sampled_from([old + 1, old - 1, -old, 10 * old, float(old)]))
        elif how == "swap":
            other = draw(st.sampled_from([*parent] if isinstance(parent, dict) else [0]))
            parent[key], parent[other] = parent[other], parent[key]
        elif how == "add" and isinstance(parent, dict):
            parent[draw(st.text(max_size=5))] = copy.deepcopy(draw(ODD))
        else:  # a copy, which the next change may change
            parent[key] = copy.deepcopy(draw(ODD))
    return value
