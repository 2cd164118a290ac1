"""The contract between the engine and components. Everything here is for plugin authors too.

What a component's target is called with:

| kind | call |
|---|---|
| generator, discriminator, network | `target(options, io) -> torch.nn.Module` |
| loss | `target(options) -> Loss` (an `nn.Module` is moved, not trained; its buffers are saved) |
| task | `target(options, nets, loss) -> Task` |
| data | `target(options, split) -> DataSource` |
| augment | `target(options) -> Augment` |
| diffaugment | `target(options) -> DiffAugment` (an `nn.Module` is moved; its buffers are saved) |
| metric | `target(options) -> Metric` |
| callback | `target(options) -> object with ganzoo_* run hooks` |
| optimizer | `target(options, parameters: list[nn.Parameter]) -> torch.optim.Optimizer` |
| schedule | `target(options, clock: Clock, epochs: int) -> float`, a factor of the learning rate |
| format | `target(options) -> Format` |
"""

from __future__ import annotations

from ganzoo.interfaces.applications import Application, roles_in_use
from ganzoo.interfaces.data import AdaptiveDiffAugment, Augment, DataSource, DiffAugment
from ganzoo.interfaces.fields import Field, Shape, Split
from ganzoo.interfaces.formats import Format
from ganzoo.interfaces.losses import KnownValue, Loss, LossInputs
from ganzoo.interfaces.metrics import Metric, Score
from ganzoo.interfaces.network_io import NetIO, refuse_classes
from ganzoo.interfaces.networks import (
    Discriminator,
    DiscriminatorOutput,
    Generator,
    Role,
    as_output,
)
from ganzoo.interfaces.task import Task
from ganzoo.interfaces.training import Clock, Net, Optimize, Outcome, RunView

__all__ = [
    "AdaptiveDiffAugment",
    "Application",
    "Augment",
    "Clock",
    "DataSource",
    "DiffAugment",
    "Discriminator",
    "DiscriminatorOutput",
    "Field",
    "Format",
    "Generator",
    "KnownValue",
    "Loss",
    "LossInputs",
    "Metric",
    "Net",
    "NetIO",
    "Optimize",
    "Outcome",
    "Role",
    "RunView",
    "Score",
    "Shape",
    "Split",
    "Task",
    "as_output",
    "refuse_classes",
    "roles_in_use",
]
