"""The tables and keys of a recipe that belong to the core. Components define their own options.

The docstring under each key is its help text, for `docs/recipes.md` and the JSON schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ganzoo.api import Chosen, Kind, Mode, Options, Ref, Scalar
from ganzoo.recipe.excerpt import excerpt
from ganzoo.recipe.interval import Begin, Every
from ganzoo.recipe.start import Start


class OptimizerKeys(Options):
    """Keys of the engine in `[optimizer]` and `[players.NAME]`, beside the optimizer's options."""

    clip: Annotated[Scalar, Field(gt=0)] | None = None
    """Largest norm of a player's whole gradient; absent: no clipping."""
    schedule: Annotated[Chosen, Ref("schedule")] = Field(default="ganzoo/constant")  # type: ignore[assignment]
    """How the learning rate changes; it depends only on the number of images seen."""
    begin: Begin | None = None
    """Only in `[players.NAME]`: when the player begins. Until then its networks are absent, as if
    the recipe had none, and the loss leaves out the terms that need them."""
    rest_above: Annotated[float, Field(gt=0.5, lt=1)] | None = None
    """Only in `[players.NAME]` of the discriminator: it makes no step while its accuracy was above
    this share in the last log window (`watch.log`)."""


class Train(Options):
    """Length of the training and settings of the training loop, such as seed and precision."""

    epochs: int = Field(default=200, ge=1, le=10**9)
    """Passes over the training data; together with the size of the data set, this determines the
    planned number of images."""
    batch_size: int = Field(default=1, ge=1, le=10**6)
    """Images that each process uses in one step (before accumulation)."""
    accumulate: int = Field(default=1, ge=1, le=10**6)
    """Batches whose gradients are averaged into one step. In all batches but the last, players that
    alternate within a step see each other's weights from before the step, so the result isn't
    exactly that of a larger batch."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Initial weights depend on (seed, role); order and augmentation depend on (seed, epoch,
    index)."""
    precision: Literal["auto", "fp64", "fp32", "bf16", "fp16"] = "auto"
    """`auto` is bf16 where the hardware supports it (NVIDIA GPUs from Ampere on, CPUs with AMX or
    AVX512-BF16), fp16 on older NVIDIA GPUs, and fp32 elsewhere. fp64 is for exact comparisons."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """The device to train on; `auto` selects an accelerator if there is one."""
    workers: Annotated[int, Field(ge=0, le=1024)] | Literal["auto"] = "auto"
    """Number of processes that load data; `auto`: 0 on a CPU, whose cores the training needs, else
    up to 4."""
    cache: int = Field(default=600, ge=0, le=10**9)
    """MB of temporary disk ($TMPDIR) in which each process of a run keeps what is the same in every
    epoch: samples before their first random augment. It never uses more than a quarter of the free
    space."""
    threads: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    """CPU threads of torch in each process; `auto`: OMP_NUM_THREADS, else a share of the cores."""
    channels_last: bool | Literal["auto"] = "auto"
    """Memory order of images; `auto`: on where it is faster (CUDA with fp16 or bf16)."""
    tf32: bool = False
    """CUDA's matrix products and convolutions in fp32 may drop 13 of the 23 bits of the mantissa,
    which is much faster (Ampere and later). If off, they keep all bits."""
    compile: Literal["off", "default", "reduce-overhead"] = "off"
    """Compile each network with `torch.compile` in this mode; `reduce-overhead` uses CUDA graphs.
    This takes seconds to minutes at the start, and the results differ in some bits from those of
    `off`. Penalties on gradients, which need a second derivative, run without it."""


class Ema(Options):
    """An exponential moving average of networks' weights, saved beside the weights."""

    enabled: bool = False
    """Keep an average, and use it for samples, evaluation and prediction."""
    half_life: Annotated[Scalar, Field(gt=0)] = Scalar(10_000)
    """Number of images after which the old value of a weight counts half."""
    roles: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The roles whose weights are averaged; absent: those that the task uses after training."""


class Watch(Options):
    """What is shown and written while training. It changes no weights, with one exception: `log`
    decides when players with `rest_above` begin to rest and when they stop resting.
    """

    log: Every = "50 steps"
    """How often losses are shown and written to metrics.jsonl (means since the last time)."""
    samples: Every = "1000 steps"
    """How often a sample grid is written."""
    sample_count: int = Field(default=4, ge=1, le=64)
    """Rows of a sample grid: images of the `val` split, always the same. For networks that draw
    their inputs, the number of samples in a block; for points, always about 1,000 samples."""
    validate_every: Every = Field(default="never", alias="validate")
    """How often the validation split is scored; its metrics are written to metrics.jsonl."""
    evaluate: Literal["never", "val", "test"] = "never"
    """Split that is evaluated once when training is finished."""
    tensorboard: bool = False
    """Also write TensorBoard event files (`pip install -e '.[tensorboard]'`)."""


class Checkpoints(Options):
    """When the whole state is saved, and how much of it is kept."""

    every: Every = "5000 steps"
    """How often a checkpoint is written; one is always written at the end."""
    keep: int = Field(default=2, ge=1, le=10**9)
    """Number of checkpoints that are kept besides the last and the best."""
    best: str = ""
    """Metric of `watch.validate` whose best checkpoint is kept, such as `l1`; empty: none."""
    best_is: Literal["lowest", "highest"] = "lowest"
    """Whether a low or a high value of that metric is better."""


class Inference(Options):
    """How the weights are used after training, unless a command-line option says otherwise."""

    mode: Mode = "running"
    """Absent: the mode that the task prefers, which is `running` unless its plugin says otherwise.
    `paper`: batch statistics of each single image and seeded dropout (arXiv 1611.07004), as in
    training with one image a batch; `deterministic`: batch statistics, no dropout, with the same
    result for every seed; `running`: stored statistics, no dropout, for networks trained with
    larger batches, and for parts of a picture or frames of a film, which should look alike."""


SETTINGS: dict[str, type[Options]] = {
    "start": Start,
    "train": Train,
    "ema": Ema,
    "watch": Watch,
    "checkpoints": Checkpoints,
    "inference": Inference,
}
"""The tables of a recipe that belong to the core, with their models."""


@dataclass(frozen=True)
class AugmentEntry:
    """One `[[augment]]` table of a recipe."""

    chosen: Chosen
    on: Literal["train", "evaluation", "always"] = "train"


@dataclass(frozen=True)
class LossEntry:
    """One `[loss]` or `[[loss]]` table; with several losses, terms are logged as `name/term`."""

    chosen: Chosen
    name: str = ""


@dataclass(frozen=True)
class Optimizer:
    """How a player's weights are changed: `[optimizer]`, or `[players.NAME]` laid over it.

    Args:
        chosen: the optimizer.
        keys: what the engine does for any optimizer.
        table: the recipe's table, `optimizer` or `players.NAME`.
    """

    chosen: Chosen
    keys: OptimizerKeys
    table: str = field(default="optimizer", compare=False)

    def as_table(self) -> dict[str, Any]:
        """Return the table as a recipe would spell it out."""
        return {**self.chosen.as_table(), **self.keys.model_dump(mode="json", by_alias=True)}


@dataclass(frozen=True)
class Origin:
    """The origin of a value of the resolved recipe.

    Args:
        source: a file, a document's name, `--set`, `default` or a preset.
        line, column: counted from 1; they are 0 if there is none.
        text: the line of the file.
        width: the number of characters of the value, or of its first line.
    """

    source: str
    line: int = 0
    column: int = 0
    text: str = field(default="", compare=False, repr=False)
    width: int = field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source

    @property
    def excerpt(self) -> str:
        """The line with carets below the value; empty if there is no line."""
        if not self.line:
            return ""
        return "\n".join(excerpt(self.text, self.line, self.column, self.width))


@dataclass(frozen=True)
class RoleEntry:
    """One `[networks.ROLE]` of a recipe, laid over the default table of its kind.

    Args:
        kind: the kind that the recipe implies. The plan compares it with the task's. It is None if
            `chosen` is.
        chosen: the network; None if the recipe has "none".
        place: where the table stands.
    """

    kind: Kind | None
    chosen: Chosen | None
    place: Origin = field(compare=False)


Path_ = tuple[str | int, ...]
"""The keys from the top of a recipe to a value, such as `("augment", 0, "height")`."""


_BEFORE = {"tf32": False, "compile": "off"}
"""The keys of `[train]` that were added later, with the values that describe earlier runs. A recipe
with such a value, or without the key, means the same as before and has the same hash."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A valid recipe: every table was checked against the component that it names.

    `document` is the whole recipe as plain data with all defaults. Loading it makes the same recipe
    again.
    """

    name: str
    summary: str = ""
    out: str = "runs"
    task: Chosen
    data: Chosen
    fallback: Chosen | None = None
    augment: tuple[AugmentEntry, ...] = ()
    networks: Mapping[str, Chosen | None] = field(default_factory=dict)
    """The network of each default table (`generator`, `discriminator`, `network`); None if the
    recipe has "none"."""
    roles: Mapping[str, RoleEntry] = field(default_factory=dict)
    """The networks of roles that have a table of their own."""
    diffaugment: tuple[Chosen, ...] = ()
    """The differentiable augmentations of all inputs of a discriminator, in the order of use."""
    loss: tuple[LossEntry, ...] = ()
    metrics: tuple[Chosen, ...] = ()
    callbacks: tuple[Chosen, ...] = ()
    start: Start = field(default_factory=Start)
    train: Train = Train()
    optimizer: Optimizer
    players: Mapping[str, Optimizer] = field(default_factory=dict)
    """The optimizer of each player named in `[players.NAME]`: `optimizer` with the player's
    changes."""
    player_places: Mapping[str, Origin] = field(default_factory=dict, compare=False)
    """Where the table of each of these players stands."""
    ema: Ema = Ema()
    watch: Watch = Watch()
    checkpoints: Checkpoints = Checkpoints()
    inference: Inference = Inference()
    document: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[Path_, Origin] = field(default_factory=dict, compare=False)
    path: Path | None = field(default=None, compare=False)
    text: str = field(default="", compare=False)
    """The text of the recipe file as it was read."""

    def network_of(self, role: str, kind: str) -> Chosen | None:
        """Return the network of a task's role of a kind; None if the recipe has none for it."""
        entry = self.roles.get(role)
        return self.networks.get(kind) if entry is None else entry.chosen

    def named_networks(self) -> Iterator[Chosen]:
        """Yield the network of every table, those of single roles last."""
        named = [*self.networks.values(), *(entry.chosen for entry in self.roles.values())]
        yield from (network for network in named if network is not None)

    def optimizing(self) -> Iterator[Chosen]:
        """Yield the optimizer and the schedule of every table."""
        for one in (self.optimizer, *self.players.values()):
            yield from (one.chosen, one.keys.schedule)

    @property
    def sha256(self) -> str:
        """The hash of `document` in canonical JSON; recipes with the same meaning have the same."""
        import hashlib
        import json

        train = dict(self.document.get("train", {}))
        train.pop("cache", None)  # the size of the cache changes no result
        for key, before in _BEFORE.items():
            if train.get(key) == before:
                del train[key]
        meant = {**self.document, "train": train}
        canonical = json.dumps(meant, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
