"""Metrics at work: all who made something of, or like, the same samples are scored alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from ganzoo.api import Chosen
from ganzoo.data.formats import mask_of, with_no_data
from ganzoo.data.pipeline import PreparedData, collate
from ganzoo.errors import DataError
from ganzoo.inference.from_noise import CHUNK, Sampler
from ganzoo.inference.scores import NETWORK, REAL, Judgement, built
from ganzoo.interfaces import Field, Metric, Shape
from ganzoo.recipe import Recipe

Made = np.ndarray
"""What was made of or for one sample, as files hold it: see `Format.to_array`."""
Make = Callable[[Mapping[str, Tensor], str], Mapping[str, Made]]
"""From a sample and its name to what each contestant makes of it."""


class Keep(Protocol):
    """Told of each thing that the network made, by name."""

    def __call__(self, name: str, made: Made) -> None: ...


def metrics_for(recipe: Recipe, data: PreparedData) -> list[Chosen]:
    """The metrics of a recipe, and those that the data propose, each once."""
    from ganzoo.plugin_system import registry

    known = {metric.id for metric in recipe.metrics}
    active = registry.current()
    proposed = [active.choose("metric", one) for one in getattr(data.source, "metrics", ())]
    return [*recipe.metrics, *(one for one in proposed if one.id not in known)]


def _fitting(
    metrics: Sequence[Chosen],
    there: Collection[str],
    judgement: Judgement,
    fields: Mapping[str, Field],
    made: Field,
    why: str,
    lack: str = "the data have no field",
) -> list[Chosen]:
    """The metrics that can judge this; of the others it is said why they're left out.

    Args:
        metrics: all of them.
        there: names of the fields that metrics may read.
        judgement: whose notes say it.
        fields: of the batches, see `built`.
        made: what is generated.
        why: the reason where it is the target alone that is missing.
        lack: the beginning of the reason where others are.
    """
    fitting = []
    left_out: dict[str, list[str]] = {}
    for metric in metrics:
        missing = sorted(metric.load().needs - set(there))
        if missing:
            lacks = f"{lack} {', '.join(missing)}"
            left_out.setdefault(why if missing == ["target"] else lacks, []).append(metric.id)
            continue
        try:
            target = metric.load()
            if made.mask or not isinstance(target, type) or hasattr(target, "prepare"):
                built([metric], fields, made)
        except DataError as error:
            left_out.setdefault(error.message, []).append(metric.id)
        else:
            fitting.append(metric)
    for reason, ids in left_out.items():
        verb = "is" if len(ids) == 1 else "are"
        judgement.notes.append(f"{', '.join(ids)} {verb} left out: {reason}.")
    return fitting


def judge(
    data: PreparedData,
    make: Make,
    metrics: Sequence[Chosen],
    *,
    fields: tuple[str, str] = ("source", "target"),
    limit: int | None = None,
    done: Callable[[int, int], None] = lambda *_: None,
) -> Judgement:
    """Let every contestant make something of each sample, and score them all alike.

    Args:
        data: the samples, in the order of their names. Of fields that aren't aligned, each item
            of what goes in is taken once, under its own name.
        make: gives what each contestant makes; it is put into metrics as its file is read.
        metrics: those whose fields the data lack are left out, which is said; so are those that
            compare with a target which isn't the sample's own.
        fields: what went in, and what should come out; metrics see them as source and target.
            Samples whose mask says that there are no data anywhere in the latter are left out,
            which is said.
        limit: look at this many samples alone.
        done: called with the number of samples done and their total.

    Raises:
        DataError: when a sample can't be read, or what was made of it can't be compared.
    """
    judgement = Judgement()
    there = {*data.fields, "source", "target"}
    aligned = all(data.fields[name].aligned for name in fields)
    if not aligned:
        there.remove("target")
    why = f"the {fields[1]} of a sample doesn't belong to its {fields[0]}"
    known = {**data.fields, "source": data.fields[fields[0]], "target": data.fields[fields[1]]}
    its_field, its_format = data.fields[fields[1]], data.formats[fields[1]]
    usable = _fitting(metrics, there, judgement, known, its_field, why)
    judges: dict[str, list[Metric]] = {}
    # by name as text (1, 10, 100, 2): an order of the files, not of the data component, so that
    # figures which compare neighbours can be computed from the saved files alone
    names = data.own_names(fields[0])
    order = sorted(range(len(names)), key=names.__getitem__)[:limit]
    empty = []
    for count, index in enumerate(order, 1):
        name = names[index]
        sample = data.sample(index)
        if its_field.mask and not sample[its_field.mask].any():
            empty.append(name)
            done(count, len(order))
            continue
        batch = {key: as_in_files(value[None], key, data) for key, value in sample.items()}
        batch |= {"source": batch[fields[0]], "target": batch[fields[1]]}
        for contestant, made in make(sample, name).items():
            if contestant not in judges:
                judges[contestant] = built(usable, known, its_field)
            shown = its_format.to_tensors([made], its_field)
            for instance in judges[contestant]:
                _update(instance, batch, shown, name)
        judgement.names.append(name)
        done(count, len(order))
    if empty:
        judgement.notes.append(
            f"{len(empty)} of {len(order)} samples are left out, since {its_field.mask!r} says that"
            f" they have no data: {', '.join(empty[:5])}{' ...' if len(empty) > 5 else ''}."
        )
    for contestant, instances in judges.items():
        judgement.score(contestant, usable, instances)
    return judgement


def judge_drawn(
    data: PreparedData,
    sampler: Sampler,
    metrics: Sequence[Chosen],
    field: str,
    *,
    seed: int = 0,
    limit: int | None = None,
    control: bool = True,
    keep: Keep = lambda *_, **__: None,
    done: Callable[[int, int], None] = lambda *_: None,
) -> Judgement:
    """Score what an application makes of drawn inputs, and the data themselves beside it.

    Each metric gets as many samples as it wants, by default as many as the data have.

    Args:
        data: what the network should have learned to make; beside generated samples, metrics get
            these in turn.
        sampler: the application.
        metrics: those that want a target, or fields which are neither drawn nor made, are left
            out, which is said.
        field: which of the fields that it gives is judged.
        seed: of all that is drawn.
        limit: this many samples at most.
        control: score the data too, as `real_data`: each sample once, with the fields beside it in
            the place of what would be drawn.
        keep: told of each generated sample.
        done: called with the number of samples done and their total.

    Raises:
        DataError: when a sample can't be read, or is of another size than what the network makes.
        DivergedError: the network makes numbers that aren't finite.
    """
    judgement = Judgement()
    made_field = data.fields[field]
    there = {field, *sampler.draw(1, seed)} - {"target"}
    why = "generated samples have no target"
    if made_field.mask:
        judgement.notes.append(
            f"All metrics are left out: generated samples have no {made_field.mask!r}, which says "
            "where there are data."
        )
        metrics = ()
    usable = _fitting(
        *(metrics, there, judgement, data.fields, made_field, why),
        "no drawn input and no generated sample is called",
    )
    judges = built(usable, data.fields, made_field)
    wants = [_wanted(judge, data, limit) for judge in judges]
    count = max(wants, default=min(len(data), limit or len(data)))
    real_wanted = any(field in judge.needs for judge in judges)
    drawn, start = sampler.draw(count, seed), 0
    shape: Shape = ()
    for chunk in sampler(drawn, seed):
        generated = as_in_files(chunk[field], field, data)
        stop, shape = start + len(generated), tuple(generated.shape[1:])
        batch = {name: value[start:stop] for name, value in drawn.items()}
        if real_wanted:
            indices = [index % len(data) for index in range(start, stop)]
            real = _samples(data, field, shape, indices)
            batch = {field: real[field]} | batch
        _update_some(judges, wants, start, batch, generated)
        for index, one in enumerate(generated, start):
            name = f"{index:06d}"
            judgement.names.append(name)
            keep(name, data.formats[field].to_array(one, made_field))
        start = stop
        done(stop, count)
    judgement.score(NETWORK, usable, judges)
    beside = [metric for metric in usable if not metric.load().needs - set(data.fields)]
    if control and beside:
        judges = built(beside, data.fields, made_field)
        wants = [_wanted(judge, data, limit) for judge in judges]
        for chunk_of in _chunks(min(len(data), max(wants))):
            batch = _samples(data, field, shape, chunk_of)
            _update_some(judges, wants, chunk_of[0], batch, batch[field])
        judgement.score(REAL, beside, judges)
    return judgement


def _wanted(judge: Metric, data: PreparedData, limit: int | None) -> int:
    wanted: int = getattr(judge, "samples", len(data))
    return wanted if limit is None else min(wanted, limit)


def _update_some(
    judges: Sequence[Metric],
    wants: Sequence[int],
    start: int,
    batch: Mapping[str, Tensor],
    made: Tensor,
) -> None:
    """Give each metric what it still wants of a chunk that begins at sample `start`."""
    for judge, wanted in zip(judges, wants, strict=True):
        more = min(wanted - start, len(made))
        if more > 0:
            part = {name: value[:more] for name, value in batch.items()}
            _update(judge, part, made[:more], f"{start:06d}")


def _chunks(count: int) -> Iterator[range]:
    for start in range(0, count, CHUNK):
        yield range(start, min(start + CHUNK, count))


def _samples(
    data: PreparedData, field: str, made: Shape, indices: Sequence[int]
) -> dict[str, Tensor]:
    """Samples of the data as a batch that metrics take.

    Args:
        data: the samples.
        field: what the network makes.
        made: the shape of one of these that it made.
        indices: of the samples.

    Raises:
        DataError: when a sample has another shape than what the network makes.
    """
    samples = []
    for index in indices:
        sample = data.sample(index)
        shape = tuple(sample[field].shape)
        if shape != made:
            given, wanted = (" x ".join(map(str, one)) for one in (shape, made))
            raise DataError(
                f"is {given}, but the network makes {wanted}: the two can't be compared",
                where=data.name(index),
                hint='Set `on = "always"` in the [[augment]] table of the resize.',
            )
        samples.append(
            {name: as_in_files(value[None], name, data)[0] for name, value in sample.items()}
        )
    return collate(samples)


def _update(metric: Metric, batch: Mapping[str, Tensor], made: Tensor, name: str) -> None:
    try:
        metric.update(batch, made)
    except DataError as error:
        error.where = error.where or name
        raise


def as_in_files(values: Tensor, name: str, data: PreparedData) -> Tensor:
    """Values of a field, N x ..., as they are after they have been written to files and read."""
    its_format, its_field = data.formats[name], data.fields[name]
    if its_format.indices:
        return values
    arrays = [its_format.to_array(one, its_field) for one in values]
    return its_format.to_tensors(arrays, its_field)


def as_file(made: Made, name: str, sample: Mapping[str, Tensor], data: PreparedData) -> Made:
    """What was made in the place of a field, with its value for "no data" where there are none.

    Args:
        made: as `Format.to_array` returns it.
        name: the field.
        sample: the sample without a batch axis, which has the mask.
        data: whose field it is.
    """
    field = data.fields[name]
    return with_no_data(made, field, mask_of(field, sample))
