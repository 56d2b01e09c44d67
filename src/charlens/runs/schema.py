"""Keys of the settings: one class per section of config.yaml (see `settings.make`).

The Snakefile imports this, so it imports nothing slow.
"""

import math
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from charlens.runs.additions import AdamWSettings, Variants
from charlens.runs.values import (
    Count,
    Distinct,
    Integer,
    Name,
    Number,
    Order,
    Positive,
    Section,
    Seed,
    Several,
    Text,
    Type,
)
from charlens.store.models import original, twin

RESERVED = ("downloads", "kenlm", "reference", "bench")  # folders of results/ that are no run


class Recipe(Section):
    """A text made from the files of a source archive."""

    archive: Text = Field(description="A .tar.gz: a URL, or a path of your own.")
    glob: Text = Field(description="The files of it that are joined, sorted by path.")
    shuffle: Integer | None = Field(
        None, description="Seed of their order; without it they stay sorted."
    )


class Package(Section):
    """A text in an installed Python package."""

    module: Text = Field(description="An installed Python module.")
    attribute: Text | None = Field(None, description="A dict of texts in it.")
    glob: Text | None = Field(None, description="Files in its folder.")

    @model_validator(mode="after")
    def _one_way(self):
        if (self.attribute is None) == (self.glob is None):
            raise ValueError("expected either attribute or glob")
        return self


class Source(Section):
    """A known text: where to get it (one of url, recipe, package and path), and how to check it."""

    name: Text = Field(description="Shown in tables and figures.")
    url: Annotated[str, StringConstraints(pattern="^https?://")] | None = Field(
        None, description="Where it is downloaded from."
    )
    recipe: Recipe | None = Field(
        None, description="Files of a source archive, sorted by path, shuffled, joined."
    )
    package: Package | None = Field(None, description="What an installed Python package holds.")
    path: Text | None = Field(None, description="A file of your own.")
    bytes: Count | None = Field(None, description="Its length.")
    symbols: Annotated[Integer, Field(ge=2, le=256)] | None = Field(
        None, description="Distinct bytes."
    )
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        None, description="Its digest."
    )
    allow_http: bool | None = Field(None, description="Whether a plain http address is allowed.")
    max_mb: Count | None = Field(
        None, description="Largest download, 1000 unless stated; a url's `bytes` count before it."
    )

    @model_validator(mode="after")
    def _one_way(self):
        ways = [way for way in ("url", "recipe", "package", "path") if getattr(self, way)]
        if not ways:
            raise ValueError(f"'{self.name}' has no url, recipe, package or path")
        if len(ways) > 1:
            raise ValueError(f"'{self.name}' has {' and '.join(sorted(ways))}; one way is enough")
        return self


class Split(Section):
    """How a text is split."""

    layout: Literal["streams", "contiguous"] = Field(
        description="streams: each of 100 streams is cut in time, as in the paper; contiguous: the"
        " text is cut in three, for texts of your own."
    )
    streams: Annotated[Integer, Field(ge=6)] = Field(
        description="Sequences side by side, the size of a minibatch. Units are chosen on the even"
        " ones of the test text and scored on the odd ones, three each at least."
    )
    unroll: Count = Field(description="Characters through which gradients flow.")


class Training(Section):
    """How networks are trained: recurrent networks and n-NN alike."""

    epochs: Count = Field(description="Passes over the training text.")
    learning_rate: Positive = Field(description="Of RMSProp.")
    decay: Annotated[Positive, Field(le=1)] = Field(
        description="Factor on the learning rate for each epoch after `decay_after`."
    )
    decay_after: Annotated[Integer, Field(ge=0)] = Field(
        description="Epochs at the full learning rate."
    )
    smoothing: Annotated[Number, Field(ge=0, lt=1)] = Field(description="Of RMSProp's mean square.")
    epsilon: Positive = Field(description="Of RMSProp, added after the root.")
    clip: Positive = Field(description="Bound on each element of the gradient.")
    init: Positive = Field(description="Initial parameters are uniform in [-init, init].")


class OwnTraining(Section):
    """Values of `training` that a corpus overrides."""

    epochs: Count | None = None
    learning_rate: Positive | None = None
    decay: Annotated[Positive, Field(le=1)] | None = None
    decay_after: Annotated[Integer, Field(ge=0)] | None = None
    smoothing: Annotated[Number, Field(ge=0, lt=1)] | None = None
    epsilon: Positive | None = None
    clip: Positive | None = None
    init: Positive | None = None


class Corpus(Section):
    """A text and where to get it."""

    title: Text
    kind: Literal["prose", "code"] = Field(
        description="Closing braces (figure 5, left) are studied in code."
    )
    fractions: Annotated[
        list[Annotated[Number, Field(gt=0, lt=1)]], Field(min_length=3, max_length=3)
    ] = [0.8, 0.1, 0.1]
    """Shares of training, validation and test."""
    file: Text | None = Field(None, description="Its name in a mirror folder.")
    sources: Annotated[list[Source], Field(min_length=1)] = Field(
        description="Tried in order; the first that passes its checks is used."
    )
    symbols: Literal["bytes", "characters", "auto"] | None = Field(
        None,
        description="What models predict: the bytes of the text (unless stated, and in the paper),"
        " or its Unicode characters; auto: characters if it is UTF-8 and 0.5% of it beyond ASCII.",
    )
    training: OwnTraining | None = Field(
        None, description="Values of `training` that its networks override."
    )

    @field_validator("fractions")
    @classmethod
    def _add_up(cls, fractions):
        if abs(math.fsum(fractions) - 1) > 1e-9:
            raise ValueError(f"{fractions} do not add up to 1")
        return fractions


class Selection(Section):
    """Grid entries: those that match every value here."""

    type: Type | None = None
    layers: Count | None = None
    size: Count | None = None

    @model_validator(mode="after")
    def _names_something(self):
        if not self.model_fields_set:
            raise ValueError("expected type, layers or size")
        return self


class NetworkSelection(Selection):
    """Networks of the grid: those that match every value here."""

    seed: Seed | None = None


class Dropouts(Section):
    """Candidates for the dropout of the networks that these lists hold."""

    corpora: Several[str] | None = None
    types: Several[Type] | None = None
    layers: Several[Count] | None = None
    sizes: Several[Count] | None = None
    seeds: Several[Seed] | None = None
    values: Several[Annotated[Number, Field(ge=0, lt=1)]]


class Seeds(Section):
    """Seeds of the grid entries that these lists hold."""

    corpora: Several[str] | None = None
    types: Several[Type] | None = None
    layers: Several[Count] | None = None
    sizes: Several[Count] | None = None
    values: Several[Seed]


class Grid(Section):
    """The recurrent networks: every type, layers and size, less `omit`, and the variants."""

    types: Several[Type] = Field(description="Files in src/charlens/networks/cells/.")
    layers: Several[Count]
    sizes: Several[Count] = Field(
        description="Row of table 1: the parameter budget of a one-layer LSTM of this size."
    )
    omit: list[Selection] = Field(description="Entries that are left out.")
    variants: list[Variants] = Field(
        [], description="Types with something added, such as lstm+block."
    )
    dropout: Annotated[list[Dropouts], Field(min_length=1)] = Field(
        description="Candidates, chosen on validation; the first matching entry counts."
    )
    seeds: Annotated[list[Seeds], Field(min_length=1)] = Field(
        description="One network per seed; the first matching entry counts."
    )

    @field_validator("types")
    @classmethod
    def _lstm(cls, types):
        if "lstm" not in types:
            raise ValueError("expected lstm among them, which figures 4 and 5 are about")
        return types


class FixedContext(Section):
    """n-NN: one tanh layer on the n previous characters."""

    contexts: Several[Count] = Field(description="Each n.")
    hidden: Several[Count] = Field(
        description="Candidates for the hidden units, chosen on validation."
    )
    seed: Seed


class Ngrams(Section):
    """n-gram models."""

    orders: Several[Order] = Field(description="n = order - 1 characters of context.")


class ContiguousSplit(Section):
    """What the paper's split is worth: these models again under the contiguous layout (none if
    split.layout is contiguous anyway)."""

    corpora: Distinct[str] = Field(description="Of those in use.")
    orders: Several[Order] = Field(description="Of n-gram models.")
    recurrent: list[Selection] = Field(description="Grid entries; the first seed of each.")


class Reshuffles(Section):
    """What a loss owes to the order of a corpus's files: these models again, on the same files in
    other random orders. For corpora made from the files of an archive or a package."""

    corpora: Distinct[str] = Field([], description="Of those in use.")
    seeds: Distinct[Seed] = Field([], description="One order of the files each.")
    orders: Distinct[Order] = Field([], description="Of n-gram models.")
    recurrent: list[Selection] = Field([], description="Grid entries; the first seed of each.")


class Bootstrap(Section):
    """Standard deviations of losses (tables 1 and 2)."""

    samples: Annotated[Integer, Field(ge=2)] = Field(
        100, description="Resamplings of the test characters."
    )
    seed: Seed = 0


class Claims(Section):
    """Tests of the paper's conclusions, and of what its split is worth."""

    resamples: Annotated[Integer, Field(ge=1000)] = Field(
        10_000, description="Of whole test streams."
    )
    seed: Seed = 0
    seeds_from: str | None = Field(
        None, description="A publication of the same texts: how much its losses vary with the seed"
        " stands in where no network of the run has two seeds.",
    )  # fmt: skip


class Tsne(Section):
    """Figure 1."""

    perplexity: Annotated[Number, Field(ge=1)] = Field(
        10, description="Lowered where there are too few models."
    )
    seed: Seed = 0


class Analysis(Section):
    """How losses are analysed; a publication records it beside how its models were made."""

    bootstrap: Bootstrap = Bootstrap()
    tsne: Tsne = Tsne()
    claims: Claims = Claims()


class FirstEpochs(Section):
    """Figure 5: the first epochs of an LSTM, compared with the n-NN."""

    corpora: Distinct[Name] = Field(description="Of those in use.")
    epochs: Count
    snapshots: Count = Field(description="Per epoch.")


class Emergence(Section):
    """When units and skills appear: networks that are watched as they are trained, every
    combination of these lists, all seeds of the grid, with the first of the dropout candidates."""

    corpora: Distinct[Name] = Field([], description="Of those in use.")
    types: Distinct[Type] = []
    layers: Distinct[Count] = []
    sizes: Distinct[Count] = []
    epochs: Count = Field(3, description="The first ones, with so many snapshots per epoch ...")
    snapshots: Count = Field(10, description="... per epoch; then one per epoch.")
    characters: Count = Field(1000, description="Of each test stream, on which units are scored.")


class Figures(Section):
    """Settings of single figures."""

    tsne: Tsne
    first_epochs: FirstEpochs
    types: Distinct[Type] = Field(
        [], description="Of the grid: what is made of the LSTM (figures 2 and 4 to 6, units and"
        " gates, ablation, explorer) is made of these, too, in types/<type>/.",
    )  # fmt: skip
    emergence: Emergence = Emergence()


class Record(Section):
    """`snakemake activations`: every gate and state over a stretch of test text."""

    models: list[NetworkSelection] = Field(
        description="All networks of the grid that match an entry."
    )
    streams: Several[Annotated[Integer, Field(ge=0)]] = Field(description="Of the test split.")
    characters: Count = Field(description="Of each stream, from its beginning.")


class Probes(Section):
    """Linear probes on all units of a layer, on the beginning of each stream."""

    characters: Count = Field(description="Of the training split, to fit them.")
    val_characters: Count = Field(description="Of the validation split, to regularise them.")


class Passage(Section):
    """A passage of figure 2, found by its first words."""

    hypothesis: Literal[
        "line_position",
        "quote",
        "if_condition",
        "if_body",
        "comment_or_quote",
        "depth",
        "newline_next",
        "brace_distance",
        "indentation",
        "parenthesis",
        "preprocessor",
        "capitalised",
        "none",
    ]
    """Shown with the unit that follows it best (none: the least explained unit)."""
    begins: Text = Field(description="Its first words; white space is ignored.")
    characters: Count


class Ablation(Section):
    """Clamping the units that were found."""

    controls: Count = Field(
        50, description="Controls of each unit: others of its layer, clamped one at a time."
    )
    characters: Count | None = Field(None, description="Of each test stream; all where not set.")


class Cells(Section):
    """Inside the networks: units and gates."""

    record: Record
    ablation: Ablation = Ablation()
    gates: Distinct[Type] = Field(
        description="Types in figure 3: the best three-layer network of each (or the deepest)."
    )
    samples: Annotated[Integer, Field(ge=1000)] = Field(
        description="Resamplings of the test streams, for the scores of the best LSTM's units."
    )
    shifts: Annotated[Integer, Field(ge=239)] = Field(
        description="Circular shifts of the labels: the null distribution."
    )
    seed: Seed = Field(description="Of both.")
    probes: Probes
    inside: list[NetworkSelection] = Field(
        description="Networks measured for the tables by type, size and depth; [] means all."
    )
    passages: dict[Name, list[Passage]] = Field(
        description="Shown in figure 2 beside those chosen from the data, by corpus."
    )


class Explorer(Section):
    """The interactive page about the best LSTM of each corpus."""

    characters: Count = Field(
        description="Of the test split, from its beginning, with the state of every unit."
    )
    gates: Count = Field(
        description="Where the page holds recorded states, not the network (types other than LSTM,"
        " GRU and RNN): how many of these, from the beginning, come with every gate."
    )


class Settings(Section):
    """Every setting of a run. See config.yaml for the paper's."""

    run: Name = Field(description="Everything is written to results/<run>/.")
    use: Several[Name] = Field(description="The corpora of this run, from the definitions below.")
    mirror: str = Field(
        description='Folder searched first for each corpus\'s `file` ("": $CORPORA_MIRROR).'
    )
    corpora: Annotated[dict[Name, Corpus], Field(min_length=1)]
    split: Split
    grid: Grid
    training: Training
    adamw: AdamWSettings = AdamWSettings()
    nn: FixedContext
    ngrams: Ngrams
    contiguous_split: ContiguousSplit
    reshuffles: Reshuffles = Reshuffles()
    bootstrap: Bootstrap
    claims: Claims
    figures: Figures
    cells: Cells
    explorer: Explorer
    backend: Literal["auto", "reference", "fast", "cuda"] = Field(
        description="Who does the arithmetic. auto: a GPU if there is one, else the compiled CPU"
        " code, else plain torch; reference, fast, cuda: that one."
    )
    networks_per_job: int = Field(
        1, ge=1, description="How many recurrent networks of one shape, which differ in seed or"
        " dropout, a job trains side by side: small ones fill a GPU so."
    )  # fmt: skip

    @field_validator("run")
    @classmethod
    def _no_other_folder(cls, run):
        if run in RESERVED:
            raise ValueError(f"results/{run} holds something else; choose another name")
        return run

    @property
    def analysis(self) -> Analysis:
        """How losses are analysed."""
        return Analysis(bootstrap=self.bootstrap, tsne=self.figures.tsne, claims=self.claims)

    def of_corpus(self, corpus: str) -> Corpus:
        """The definition of a corpus, or of the one whose text it has (see `grid.contiguous`,
        `grid.reshuffles`)."""
        return self.corpora[original(corpus)]

    def split_of(self, corpus: str) -> dict:
        """How a corpus or its twin is split: `split`; a twin has the contiguous layout."""
        layout = {"layout": "contiguous"} if corpus == twin(original(corpus)) else {}
        return self.split.model_dump() | layout

    def training_of(self, corpus: str) -> dict:
        """How networks of a corpus are trained: `training` with the values that the corpus
        overrides, and the backend."""
        own = self.of_corpus(corpus).training
        own = own.model_dump(exclude_none=True) if own else {}
        return self.training.model_dump() | own | {"backend": self.backend}

    @property
    def adamw_training(self) -> dict:
        """How networks with "+adamw" are trained, but for the learning rate, and the backend."""
        return self.adamw.model_dump(exclude={"rates"}) | {"backend": self.backend}

    @field_validator("*", mode="wrap")
    @classmethod
    def _note(cls, value, handler, info):
        """Note each valid section in the context, for checks across sections (see `make`)."""
        sound = handler(value)
        if info.context is not None:
            info.context[info.field_name] = sound
        return sound
