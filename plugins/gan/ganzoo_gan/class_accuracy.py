"""Measure whether generated digits belong to the class that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from ganzoo.errors import DataError
from ganzoo.interfaces import Score
from ganzoo_gan.classifier import DigitClassifier, check_digits, classify, digits_of, trained
from ganzoo_gan.data_options import ClassAccuracyOptions
from ganzoo_gan.digits import CLASSES


class ClassAccuracy:
    """Metric: the share of class-conditional samples that a classifier assigns to their class.

    The classifier is trained on real digits. `ceiling_class_accuracy` is the accuracy of the same
    classifier on held-out real digits (the test split). `floor_class_accuracy` is that of a
    classifier trained with shuffled labels on the same samples, about 0.1.
    """

    needs = frozenset({"label"})
    better: ClassVar[Mapping[str, str]] = {"class_accuracy": "higher"}
    protocol = (
        "share of generated digits read as the class asked for by a small net trained on the real "
        "training digits; ceiling: the same net on real test digits; floor: a net trained with "
        "shuffled labels"
    )

    def __init__(self, options: ClassAccuracyOptions) -> None:
        self._options = options
        self.samples = options.samples
        self._nets: dict[str, DigitClassifier] = {}
        self._right: dict[str, list[float]] = {"": [], "floor_": []}
        self._size = 0

    def update(self, batch: Mapping[str, Tensor], generated: Tensor) -> None:
        """Classify the samples of a batch.

        Args:
            batch: has `label`, N class indices 0 to 9.
            generated: N x 1 x S x S in [-1, 1].

        Raises:
            DataError: when these aren't gray digits of a size that the source has, or a class isn't
                in 0 to 9.
        """
        self._size = check_digits(generated, self._options, channels=(1,))
        label = batch["label"].cpu()
        if not 0 <= int(label.min()) <= int(label.max()) < CLASSES:
            raise DataError(
                f"classes lie in {int(label.min())} to {int(label.max())}, not in 0 to 9",
                hint="gan/class_accuracy works only for digits: leave it out of [[metric]].",
            )
        if not self._nets:
            for prefix in self._right:
                shuffled = prefix == "floor_"
                self._nets[prefix] = trained(self._options, self._size, shuffled_labels=shuffled)
        for prefix, net in self._nets.items():
            self._right[prefix] += (classify(net, generated) == label).float().tolist()

    def compute(self) -> dict[str, Score]:
        """Return `class_accuracy` (1 or 0 for each sample), its ceiling and its floor."""
        real, truth = digits_of(self._options.source, self._size, "test")
        right = (classify(self._nets[""], real) == truth).double()
        own, chance = self._right[""], self._right["floor_"]
        return {
            "class_accuracy": Score(sum(own) / len(own), tuple(own)),
            "ceiling_class_accuracy": Score(float(right.mean())),
            "floor_class_accuracy": Score(sum(chance) / len(chance)),
        }

    @staticmethod
    def headline(values: Mapping[str, Score]) -> str:
        """Return a sentence on the share of correct classes, with ceiling and floor."""
        own, ceiling, floor = (
            values[prefix + "class_accuracy"].mean for prefix in ("", "ceiling_", "floor_")
        )
        return (
            f"class asked for: {own:.1%} of generated digits (real test digits {ceiling:.1%}; "
            f"a net of shuffled labels {floor:.1%})"
        )
