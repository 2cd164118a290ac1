"""A plugin of components with names and options alone: for tests of registry and recipes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ganzoo.api import (
    Chosen,
    Component,
    NetOptions,
    Options,
    Ref,
    Scalar,
    TaskOptions,
    hookimpl,
)


class NetToyOptions(NetOptions):
    depth: int = Field(default=4, ge=1, le=8)
    """How deep."""
    norm: Literal["batch", "instance", "none"] = "batch"
    side: Literal[1, 16, 70] = Field(default=70, alias="receptive_field")
    layers: Literal["auto"] | tuple[int, ...] = "auto"
    dropout: float | None = Field(default=None, ge=0, lt=1)


class PlainLossOptions(Options):
    margin: float = Field(default=1.0, gt=0)


class LossToyOptions(Options):
    gan: Annotated[Chosen, Ref("loss")] = Field(default="naming_toy/hinge")
    parts: tuple[Annotated[Chosen, Ref("loss")], ...] = ()
    extra: Annotated[Chosen, Ref("loss")] | None = None
    weight: Scalar = Scalar(1.0)

    @model_validator(mode="after")
    def _weight_is_not_seven(self):
        if self.weight.start == 7:
            message = "weight must not be 7"
            raise ValueError(message)
        return self


class DataToyOptions(Options):
    root: str = "toys"
    size: int
    strict: bool = False


class PaperTaskOptions(TaskOptions):
    default_mode = "paper"


class FlipOptions(Options):
    p: float = Field(default=0.5, ge=0, le=1)


class RudeOptions(Options):
    """A validator that fails as no validator should."""

    @model_validator(mode="before")
    @classmethod
    def _rude(cls, value):
        raise KeyError("rude")


class TakenOptions(Options):
    """`name` is the core's key in a loss table."""

    name: str = "x"


def lost_options():
    from naming_toy_missing import Options as Lost

    return Lost


def unused():
    raise NotImplementedError


@hookimpl
def ganzoo_components():
    net = {"target": unused, "options": NetToyOptions}
    loss = {"kind": "loss", "target": unused}
    return [
        Component(
            kind="generator",
            name="net",
            summary="A net.",
            presets={
                "deep": {"depth": 7, "norm": "none"},
                "sparse": {"norm": "instance", "dropout": 0.25},
            },
            **net,
        ),
        Component(kind="generator", name="net2", **net),
        Component(kind="generator", name="old_net", renamed_to="naming_toy/net"),
        Component(kind="generator", name="circle", renamed_to="naming_toy/circle2"),
        Component(kind="generator", name="circle2", renamed_to="naming_toy/circle"),
        Component(kind="discriminator", name="judge", **net),
        Component(name="hinge", options=PlainLossOptions, **loss),
        Component(name="square", options=PlainLossOptions, **loss),
        Component(name="main", options=LossToyOptions, **loss),
        Component(name="lost", options=lost_options, **loss),
        Component(name="odd", options=lambda: lost_options, **loss),
        Component(name="taken", options=TakenOptions, **loss),
        Component(name="rude", options=RudeOptions, **loss),
        Component(kind="task", name="task", target=unused),
        Component(kind="task", name="paper_task", target=unused, options=PaperTaskOptions),
        Component(kind="data", name="data", target=unused, options=DataToyOptions),
        Component(kind="augment", name="flip", target=unused, options=FlipOptions),
        Component(kind="metric", name="distance", target=unused),
    ]
