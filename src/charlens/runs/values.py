"""Types of value in the settings, and what a section is made of (see `schema`)."""

import re
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from charlens.errors import InputError
from charlens.store.models import WORDS, check_type

NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


def integer_in_text(value):
    """--config gives numbers as text."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]+", value) else value


def number_in_text(value):
    """--config gives numbers as text; YAML reads 1e-3 as text."""
    return float(value) if isinstance(value, str) and NUMBER.fullmatch(value) else value


def distinct(values: list) -> list:
    """Raises ValueError where a value occurs twice."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value!r} occurs twice")
    return values


def cell_type(type: str) -> str:
    """Raises ValueError where `models.check_type` raises InputError."""
    try:
        check_type(type)
    except InputError as error:
        raise ValueError(str(error)) from None
    return type


Value = TypeVar("Value")
Integer = Annotated[int, BeforeValidator(integer_in_text)]
Count = Annotated[Integer, Field(ge=1)]
Seed = Annotated[Integer, Field(ge=0, le=2**32 - 1)]
Number = Annotated[float, BeforeValidator(number_in_text)]
Positive = Annotated[Number, Field(gt=0)]
Order = Annotated[Integer, Field(ge=2, le=21)]
Text = Annotated[str, StringConstraints(min_length=1)]
# Names become parts of paths, commands and patterns: letters, digits, _ and -, not - first.
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$"
TYPE = r"^[a-z][a-z0-9_]{0,39}(\+block)?(\+adamw)?$"
PATTERNS = {  # in words
    NAME: "up to 64 letters, digits, _ and -, the first not -",
    TYPE: f"a cell type, {WORDS}, perhaps with +block or +adamw",
}
Name = Annotated[str, StringConstraints(pattern=NAME)]
Type = Annotated[
    str,
    StringConstraints(pattern=TYPE),
    AfterValidator(cell_type),
]
Distinct = Annotated[
    list[Value], AfterValidator(distinct), Field(json_schema_extra={"uniqueItems": True})
]
Several = Annotated[Distinct[Value], Field(min_length=1)]


class Section(BaseModel):
    """Part of the settings: only these keys, values of these types, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
