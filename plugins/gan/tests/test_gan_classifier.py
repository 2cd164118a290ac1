"""The judge of digits, and the two figures it makes: class accuracy and modes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import ganzoo_gan.class_accuracy as class_accuracy
import ganzoo_gan.classifier as classifier
import ganzoo_gan.digit_modes as digit_modes
from ganzoo.errors import DataError
from ganzoo_gan.class_accuracy import ClassAccuracy
from ganzoo_gan.classifier import cache_file, classify, digits_of, train, trained
from ganzoo_gan.data_options import (
    ClassAccuracyOptions,
    DigitClassifierOptions,
    DigitModesOptions,
    StackedDigitsOptions,
)
from ganzoo_gan.digit_modes import DigitModes, count_modes
from ganzoo_gan.digits import labelled
from ganzoo_gan.stacked_digits import StackedDigits

QUICK = {"source": "digits", "steps": 250}
EVEN = np.full(10, 0.1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def nets():
    options = DigitClassifierOptions(**QUICK)
    return {shuffled: train(options, 8, shuffled_labels=shuffled) for shuffled in (False, True)}


@pytest.fixture
def ready(nets, monkeypatch):
    """The metrics take the nets of this module, which are trained once."""

    def ready_made(options, size, *, shuffled_labels=False):
        assert (options.source, size) == ("digits", 8)
        return nets[shuffled_labels]

    monkeypatch.setattr(class_accuracy, "trained", ready_made)
    monkeypatch.setattr(digit_modes, "trained", ready_made)


def share_right(net, split):
    digits, labels = digits_of("digits", 8, split)
    return float((classify(net, digits) == labels).float().mean())


def test_held_out_digits_are_read_right_and_by_chance_after_shuffled_labels(nets):
    assert share_right(nets[False], "test") > 0.95
    # Control: the same training on labels dealt to the wrong digits.
    assert share_right(nets[True], "test") < 0.25


def test_samples_on_gray_and_with_noise_are_read_too(nets):
    # What young generators make: no black, little contrast, noise. A judge that knows clean digits
    # alone takes all of these for one class, and a generator of all modes for a collapsed one.
    digits, labels = digits_of("digits", 8, "test")
    noise = torch.randn(digits.shape, generator=torch.Generator().manual_seed(0))
    worn = (digits + 1) * 0.35 - 0.3 + 0.1 * noise
    found = classify(nets[False], worn.clamp(-1, 1))
    assert (found == labels).float().mean() > 0.85
    # Control: what has no digit in it is no matter of brightness.
    empty = classify(nets[False], torch.full_like(digits, -0.3) + 0.1 * noise)
    assert (empty == labels).float().mean() < 0.25


def test_training_leaves_random_numbers_alone_and_repeats_itself():
    options = DigitClassifierOptions(source="digits", steps=3)
    before = torch.get_rng_state()
    one = train(options, 8).state_dict()
    assert (torch.get_rng_state() == before).all()
    torch.rand(3)
    other = train(options, 8).state_dict()
    assert all((one[name] == other[name]).all() for name in one)
    elsewhere = train(options.model_copy(update={"seed": 1}), 8).state_dict()  # control
    assert any((one[name] != elsewhere[name]).any() for name in one)


def test_the_number_of_threads_changes_nothing_and_is_given_back():
    options, before = DigitClassifierOptions(source="digits", steps=5), torch.get_num_threads()
    trained = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            trained.append(train(options, 16).state_dict())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    one, other = trained
    assert all((one[name] == other[name]).all() for name in one)


@pytest.mark.parametrize(("source", "size"), [("digits", 16), ("mnist", 28), ("mnist", 32)])
def test_every_size_has_its_net(source, size):
    net = train(DigitClassifierOptions(source=source, steps=1), size)
    digits, labels = digits_of(source, size, "val")
    assert classify(net, digits).shape == labels.shape


def test_a_trained_net_is_kept_and_a_damaged_file_replaced(monkeypatch):
    options = DigitClassifierOptions(source="digits", steps=2)
    path = cache_file(options, 8, shuffled_labels=False)
    first = trained(options, 8).state_dict()
    assert path.is_file()
    path.write_bytes(b"no weights")
    trained(options, 8)
    monkeypatch.setattr(classifier, "train", lambda *_, **__: pytest.fail("it was trained again"))
    before = torch.get_rng_state()
    again = trained(options, 8).state_dict()
    assert (torch.get_rng_state() == before).all()
    assert all((first[name] == again[name]).all() for name in first)
    # Controls: other settings, and no cache, train.
    for other in ({"seed": 1}, {"steps": 3}, {"use_cache": False}):
        with pytest.raises(pytest.fail.Exception):
            trained(options.model_copy(update=other), 8)
    names = {cache_file(options, 8, shuffled_labels=flag) for flag in (True, False)}
    assert len(names | {cache_file(options, 16, shuffled_labels=False)}) == 3


@pytest.mark.usefixtures("ready")
def test_class_accuracy_of_real_digits_is_the_ceiling_and_of_wrong_classes_is_low(nets):
    digits, labels = digits_of("digits", 8, "test")
    metric = ClassAccuracy(ClassAccuracyOptions(**QUICK))
    metric.update({"label": labels[:100]}, digits[:100])
    metric.update({"label": labels[100:]}, digits[100:])
    values = metric.compute()
    assert values["class_accuracy"].mean == values["ceiling_class_accuracy"].mean
    assert values["class_accuracy"].mean == pytest.approx(share_right(nets[False], "test"))
    assert len(values["class_accuracy"].per_image) == len(labels)
    assert set(values["class_accuracy"].per_image) == {0.0, 1.0}
    assert values["floor_class_accuracy"].mean < 0.25
    for part in ("real test digits", "shuffled labels"):
        assert part in metric.headline(values)
    # Controls: a generator that was asked for the next class, and one that makes noise.
    noise = torch.randint(256, digits.shape) / 127.5 - 1
    for made, asked in ((digits, (labels + 1) % 10), (noise, labels)):
        other = ClassAccuracy(ClassAccuracyOptions(**QUICK))
        other.update({"label": asked}, made)
        assert other.compute()["class_accuracy"].mean < 0.25


def test_kl_and_modes_are_those_of_the_formula():
    every = np.stack(np.unravel_index(np.arange(1000), (10, 10, 10)), 1)
    assert count_modes(every, EVEN) == (1000, pytest.approx(0, abs=1e-12))
    # All in one mode: 1 log(1 / (1 / 1000)).
    assert count_modes(np.full((7, 3), 4), EVEN) == (1, pytest.approx(math.log(1000)))
    # Evenly in half of the modes: 500 times 1/500 log(1000 / 500).
    assert count_modes(every[:500], EVEN) == (500, pytest.approx(math.log(2)))
    # Red is 0 three times in four where the data have it once in two, else 1; green and blue as in
    # the data: 3/4 log(3/2) + 1/4 log(1/2).
    shares = np.array([0.5, 0.5, *[1e-9] * 8])
    pairs = np.array(
        [(red, green, blue) for red in (0, 0, 0, 1) for green in (0, 1) for blue in (0, 1)]
    )
    truth = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert count_modes(pairs, shares) == (8, pytest.approx(truth))
    # The channels have an order: red, green, blue of the pairs swapped is another distribution.
    assert count_modes(np.array([[1, 2, 3], [3, 2, 1]]), EVEN)[0] == 2


def test_perfect_samples_have_the_divergence_that_their_count_implies():
    drawn = np.random.Generator(np.random.PCG64(0)).integers(10, size=(25_600, 3))
    modes, kl = count_modes(drawn, EVEN)
    assert modes == 1000
    assert kl == pytest.approx(999 / (2 * 25_600), rel=0.1)


@pytest.mark.usefixtures("ready")
def test_the_data_that_generated_modes_are_compared_with_are_the_training_digits(monkeypatch):
    compared = []
    monkeypatch.setattr(
        "ganzoo_gan.digit_modes.count_modes",
        lambda digits, shares: compared.append(shares) or count_modes(digits, shares),
    )
    metric = DigitModes(DigitModesOptions(**QUICK))
    metric.update({}, digits_of("digits", 8, "val")[0].repeat(1, 3, 1, 1))
    metric.compute()
    counted = {
        split: np.bincount(labelled("digits", 8, split).labels)
        / len(labelled("digits", 8, split).labels)
        for split in ("train", "test")
    }
    assert all(np.array_equal(shares, counted["train"]) for shares in compared)
    assert not np.allclose(counted["train"], counted["test"], atol=1e-4)  # control
    assert not np.allclose(counted["train"], 0.1, atol=1e-4)


@pytest.mark.usefixtures("ready")
def test_stacks_of_real_digits_reach_the_ceiling_and_one_repeated_does_not():
    count = 3000
    stacked = StackedDigits(StackedDigitsOptions(source="digits", size=8, test=count), "test")
    real = torch.tensor(stacked.arrays["real"]).permute(0, 3, 1, 2).float() / 127.5 - 1
    scores = {}
    for name, images in (("real", real), ("few", real[:20].repeat(count // 20, 1, 1, 1))):
        metric = DigitModes(DigitModesOptions(**QUICK))
        metric.update({}, images[:1000])
        metric.update({}, images[1000:])
        scores[name] = metric.compute()
        assert f"{scores[name]['modes'].mean} of 1,000" in metric.headline(scores[name])
        assert "3,000 samples" in metric.headline(scores[name])
    assert scores["real"]["ceiling_modes"] == scores["few"]["ceiling_modes"]
    assert scores["real"]["modes"].mean == pytest.approx(
        scores["real"]["ceiling_modes"].mean, rel=0.03
    )
    assert scores["real"]["kl"].mean == pytest.approx(scores["real"]["ceiling_kl"].mean, abs=0.05)
    assert scores["few"]["modes"].mean <= 20  # control: a generator that has collapsed
    assert scores["few"]["kl"].mean > math.log(1000 / 20) - 0.5
    # The net names a digit in anything: noise has many modes, and the floor says how many.
    metric = DigitModes(DigitModesOptions(**QUICK))
    metric.update({}, 2 * torch.rand(3000, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 1)
    noise = metric.compute()
    assert noise["modes"].mean > 50
    assert noise["modes"].mean == pytest.approx(noise["floor_modes"].mean, rel=0.15)
    assert noise["kl"].mean == pytest.approx(noise["floor_kl"].mean, rel=0.1)
    assert noise["kl"].mean > 2 * noise["ceiling_kl"].mean
    assert f"noise: {noise['floor_modes'].mean}, " in metric.headline(noise)


@pytest.mark.usefixtures("ready")
def test_each_channel_is_read_for_itself():
    digits, labels = digits_of("digits", 8, "test")
    of = {digit: digits[labels == digit][:8] for digit in (3, 7)}
    images = torch.cat((of[3], of[7], of[3]), 1)  # 8 x 3 x 8 x 8
    metric = DigitModes(DigitModesOptions(**QUICK))
    metric.update({}, images)
    found = torch.cat(metric._found)
    assert (found.mode(0).values == torch.tensor([3, 7, 3])).all()
    single = DigitModes(DigitModesOptions(**QUICK))
    single.update({}, digits)
    assert single.compute()["modes"].mean == 10
    assert "10 of 10" in single.headline(single.compute())


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ((2, 1, 9, 9), "no net can judge digits of 9 pixels.*8, 16 or 32"),
        ((2, 5, 8, 8), "channels"),
        ((2, 1, 8, 16), "square"),
        ((2, 2), "square"),
    ],
)
def test_images_that_are_no_digits_are_refused(shape, complaint):
    for metric in (
        ClassAccuracy(ClassAccuracyOptions(**QUICK)),
        DigitModes(DigitModesOptions(**QUICK)),
    ):
        with pytest.raises(DataError, match=complaint) as refused:
            metric.update({"label": torch.zeros(2, dtype=torch.long)}, torch.zeros(shape))
        assert refused.value.hint


def test_classes_that_are_no_digits_are_refused():
    metric = ClassAccuracy(ClassAccuracyOptions(**QUICK))
    with pytest.raises(DataError, match="0 to 12, not in 0 to 9"):
        metric.update({"label": torch.tensor([0, 12])}, torch.zeros(2, 1, 8, 8))
