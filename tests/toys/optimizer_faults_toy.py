"""Optimizers and schedules whose code fails."""

from __future__ import annotations

from ganzoo.api import OptimizerOptions, Options, component


class ForgetfulOptions(OptimizerOptions):
    def settings(self, clock):
        return {"lr": self.lr}


class EndlessOptions(OptimizerOptions):
    def settings(self, clock):
        return {**super().settings(clock), "betas": (0.5, float("nan"))}


class FailingOptions(OptimizerOptions):
    def settings(self, clock):
        return {"lr": clock.rate}


def _adam():
    from ganzoo.optimizers.torch_optimizers import adam

    return adam


@component("optimizer", ForgetfulOptions)
def forgetful():
    """Its learning rate isn't a number."""
    return _adam()


@component("optimizer", EndlessOptions)
def endless():
    """One of its settings isn't finite."""
    return _adam()


@component("optimizer", FailingOptions)
def failing():
    """Its settings fail."""
    return _adam()


def _misspelt(options, parameters):
    return optimiser(parameters)  # noqa: F821


@component("optimizer", OptimizerOptions)
def misspelt():
    """It uses an unknown name."""
    return _misspelt


def _refusing(options, parameters):
    message = "rates are below 1"
    raise ValueError(message)


@component("optimizer", OptimizerOptions)
def refusing():
    """It refuses its options."""
    return _refusing


def _of_clock(options, clock):
    return 1.0


@component("schedule", Options)
def of_clock():
    """It takes no epochs."""
    return _of_clock
