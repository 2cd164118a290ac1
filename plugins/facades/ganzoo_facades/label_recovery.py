"""Measure how well the labels of a facade can be recovered from its generated photograph.

The idea is that of the paper's FCN-score (arXiv 1611.07004, section 3.4): if generated images are
realistic, a segmentation network that was trained on real ones segments them correctly. Here the
network is a small one. It is trained on procedural training photographs, whose labels are exact.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file
from torch import Tensor

from ganzoo.data import isolated
from ganzoo.errors import DataError
from ganzoo.interfaces import Score
from ganzoo.metrics import judge_file, kept_judge
from ganzoo_facades.options import LabelRecoveryOptions
from ganzoo_facades.procedural import CLASSES
from ganzoo_facades.segmenter import LARGEST, Segmenter, fit_image, fit_labels, train

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).with_name("segmenter_128.safetensors")
"""The network that was trained with the default options on photographs of 128 pixels. Its weights
are stored in fp16."""


class LabelRecovery:
    """Metric: pixel accuracy, class accuracy and class IoU of the labels recovered from images.

    Each figure is computed three times. The plain one is that of the generated photographs. The
    ceiling (`ceiling_...`) is that of the true photographs. The floor (`floor_...`) is that of the
    true photographs compared with the labels of the next image, where the first image follows the
    last one. There is no floor when there is only one image. Pixel accuracy is the mean over
    images. Class accuracy and class IoU are computed from the confusion matrix of the whole set,
    and averaged over the classes that occur in its labels, as in arXiv 1411.4038, section 5. Images
    of more than 128 pixels are shrunk to 128 first.
    """

    needs = frozenset({"labels", "target"})
    better: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("pixel_accuracy", "class_accuracy", "class_iou"), "higher"
    )
    protocol = (
        "labels recovered by a small segmentation net that was trained on procedural training "
        "photographs (the FCN-score idea of arXiv 1611.07004); ceiling: true photographs; floor: "
        "true photographs against the labels of another image"
    )

    def __init__(self, options: LabelRecoveryOptions) -> None:
        self._options = options
        self._net: Segmenter | None = None
        self._labels: list[Tensor] = []
        self._generated: list[Tensor] = []
        self._true: list[Tensor] = []

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Segment the images of a batch.

        Args:
            batch: has `labels` (N x H x W class indices) and `target` (N x 3 x H x W in [-1, 1]).
            generated: N x 3 x H x W in [-1, 1].

        Raises:
            DataError: when shapes don't fit, or a label isn't one of the 12 classes.
        """
        labels, target = batch["labels"].cpu(), batch["target"].cpu()
        _check(labels, target, generated)
        if self._net is None:
            self._net = trained(self._options, max(target.shape[2:]))
        self._labels.extend(fit_labels(labels).to(torch.uint8))
        self._generated.extend(_segment(self._net, generated))
        self._true.extend(_segment(self._net, target))

    def compute(self) -> dict[str, Score]:
        """Return the nine figures of all images that were added (six for a single image)."""
        scores = _scores("", self._generated, self._labels)
        scores |= _scores("ceiling_", self._true, self._labels)
        if len(self._labels) > 1:
            shifted = self._labels[1:] + self._labels[:1]
            scores |= _scores("floor_", self._true, shifted)
        return scores

    @staticmethod
    def headline(values: Mapping[str, Score]) -> str:
        """Return a sentence on where the generated photographs lie between floor and ceiling."""
        got, ceiling = values["pixel_accuracy"].mean, values["ceiling_pixel_accuracy"].mean
        if "floor_pixel_accuracy" not in values:
            return f"labels recovered: {got:.3f} of pixels (ceiling {ceiling:.3f}; no floor)"
        floor = values["floor_pixel_accuracy"].mean
        share = LabelRecovery.share(values)
        return (
            f"labels recovered: {got:.3f} of pixels, {share:.0%} of the way from the floor "
            f"{floor:.3f} to the ceiling {ceiling:.3f}"
        )

    @staticmethod
    def share(values: Mapping[str, Score]) -> float:
        """Return (generated - floor) / (ceiling - floor) of pixel accuracy.

        The value may lie outside [0, 1]. It is NaN where the ceiling isn't above the floor.
        """
        got, ceiling, floor = (
            values[prefix + "pixel_accuracy"].mean for prefix in ("", "ceiling_", "floor_")
        )
        return (got - floor) / (ceiling - floor) if ceiling > floor else float("nan")


def _check(labels: Tensor, target: Tensor, generated: Tensor) -> None:
    if target.ndim != 4 or target.shape[1] != 3 or generated.shape != target.shape:
        raise DataError(
            f"label recovery needs RGB images, got targets {tuple(target.shape)} and generated "
            f"ones {tuple(generated.shape)}",
            hint="Leave facades/label_recovery out of [[metric]] for this data.",
        )
    if labels.shape != target[:, 0].shape:
        raise DataError(
            f"labels {tuple(labels.shape)} and images {tuple(target.shape)} differ in size",
            hint="An augmentation must treat labels and images alike.",
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < len(CLASSES):
        raise DataError(
            f"labels lie in {int(labels.min())} to {int(labels.max())}, not in 0 to "
            f"{len(CLASSES) - 1}",
            hint="Label recovery knows only the 12 classes of facades/procedural.",
        )


def _segment(net: Segmenter, images: Tensor) -> Tensor:
    """Return the most likely class of each pixel, N x H x W uint8.

    Images are segmented one by one to limit memory.
    """
    with torch.no_grad():
        found = [net(fit_image(image[None].float().cpu())).argmax(1) for image in images]
    return torch.cat(found).to(torch.uint8)


def _scores(prefix: str, found: list[Tensor], labels: list[Tensor]) -> dict[str, Score]:
    pairs = zip(found, labels, strict=True)
    each = [confusion(mine, truth) for mine, truth in pairs]
    whole = torch.stack(each).sum(0)
    accuracies = tuple(float(one.diag().sum() / one.sum()) for one in each)
    hits, truth, claims = whole.diag(), whole.sum(1), whole.sum(0)
    present = truth > 0
    recall = (hits / truth)[present].mean()
    overlap = (hits / (truth + claims - hits))[present].mean()
    return {
        prefix + "pixel_accuracy": Score(sum(accuracies) / len(accuracies), accuracies),
        prefix + "class_accuracy": Score(float(recall)),
        prefix + "class_iou": Score(float(overlap)),
    }


def confusion(found: Tensor, labels: Tensor) -> Tensor:
    """Return the counts of pixels by (true class, found class): 12 x 12 float64."""
    classes = len(CLASSES)
    index = labels.flatten().long() * classes + found.flatten().long()
    return torch.bincount(index, minlength=classes**2).view(classes, classes).double()


def trained(options: LabelRecoveryOptions, size: int) -> Segmenter:
    """Return the segmentation network for images of `size` pixels, and train it only if necessary.

    With the default options, and from 128 pixels on, it is the network that ships with the plugin
    (`plugins/facades/train_segmenter.py` made it). Any other network is read from the cache, or is
    trained and saved there. A damaged file of the cache is replaced.
    """
    size = min(max(size, 32), LARGEST)  # larger images are shrunk before segmentation
    if size == LARGEST and options == LabelRecoveryOptions(use_cache=options.use_cache):
        with isolated():  # the initial weights are drawn, then replaced
            net = Segmenter(options.width)
        net.load_state_dict(load_file(SHIPPED))
        return net.eval()

    def train_now() -> Segmenter:
        log.info("training the segmentation net of label recovery: about a minute on two cores")
        return train(options, size)

    file = cache_file(options, size) if options.use_cache else None
    return kept_judge(file, lambda: Segmenter(options.width), train_now)


def cache_file(options: LabelRecoveryOptions, size: int) -> Path:
    """Return the file of a trained network; its name hashes options, size and source code."""
    folder = Path(__file__).parent
    others = ("__init__.py", "label_recovery.py")
    sources = sorted(file for file in folder.glob("*.py") if file.name not in others)
    settings = f"{options.model_dump_json(exclude={'use_cache'})} {size}"
    return judge_file("label_recovery", settings, sources)
