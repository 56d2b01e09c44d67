"""Settings of what may be added to a cell type: the block around it, the AdamW recipe.

The Snakefile imports this, so it imports nothing slow.
"""

from typing import Annotated, Literal

from pydantic import Field

from charlens.runs.values import Count, Number, Positive, Section, Several
from charlens.store.models import VARIANTS


class Variants(Section):
    """Every type of the grid again, at these layers and sizes, with something added."""

    layers: Several[Count]
    sizes: Several[Count]
    add: Several[Literal[*VARIANTS]] = Field(
        description="block: normalisation, residual and gated MLP around each cell; adamw: the"
        " recipe of the section `adamw`; or both."
    )


class AdamWSettings(Section):
    """The AdamW recipe, of types with "+adamw": AdamW, warm-up, cosine, weight decay."""

    rates: Several[Positive] = Field(
        [0.001, 0.003, 0.01],
        description="Candidates for the highest learning rate, chosen on validation.",
    )
    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    epochs: Count = Field(50, description="Passes over the training text.")
    warm_up: Annotated[Number, Field(ge=0)] = Field(
        1.0, description="Epochs in which the rate rises from 0."
    )
    final: Annotated[Number, Field(ge=0, le=1)] = Field(
        0.1, description="Of the highest rate: where the cosine ends."
    )
    beta1: Annotated[Number, Field(ge=0, lt=1)] = Field(0.9, description="Of the mean gradient.")
    beta2: Annotated[Number, Field(ge=0, lt=1)] = Field(0.99, description="Of the mean square.")
    epsilon: Positive = Field(1e-8, description="Added after the root.")
    weight_decay: Annotated[Number, Field(ge=0)] = Field(0.1, description="Of matrices.")
    max_norm: Positive = Field(1.0, description="Bound on the norm of the whole gradient.")
    init: Positive = Field(0.08, description="Initial parameters are uniform in [-init, init].")
