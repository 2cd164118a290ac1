from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors import safe_open

import ganzoo_facades.label_recovery as label_recovery
from ganzoo.errors import DataError
from ganzoo.interfaces import Score
from ganzoo_facades import segmenter
from ganzoo_facades.label_recovery import LabelRecovery, cache_file, confusion, trained
from ganzoo_facades.options import LabelRecoveryOptions, ProceduralFacadesOptions
from ganzoo_facades.procedural import REVISION, ProceduralFacades
from ganzoo_facades.segmenter import Segmenter, fit_image, fit_labels

SIZE = 32
QUICK = {"images": 80, "steps": 140, "width": 12}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path))
    return tmp_path


def batch(count, size=SIZE, split="test"):
    data = ProceduralFacades(ProceduralFacadesOptions(size=size), split)
    samples = [data.load(index) for index in range(count)]
    target = torch.from_numpy(np.stack([sample["target"] for sample in samples]))
    labels = torch.from_numpy(np.stack([sample["labels"] for sample in samples])).long()
    return {"target": target.permute(0, 3, 1, 2).float() / 127.5 - 1, "labels": labels}


@pytest.fixture(scope="module")
def quick_net():
    return segmenter.train(LabelRecoveryOptions(**QUICK), SIZE)


@pytest.fixture
def metric(quick_net, monkeypatch):
    monkeypatch.setattr(label_recovery, "trained", lambda *_: quick_net)
    return LabelRecovery(LabelRecoveryOptions(**QUICK))


def test_true_photographs_reach_the_ceiling_and_ruined_ones_do_not(metric, quick_net):
    data = batch(12)
    metric.update({name: field[:5] for name, field in data.items()}, data["target"][:5])
    metric.update({name: field[5:] for name, field in data.items()}, data["target"][5:])
    values = metric.compute()
    kinds = ("pixel_accuracy", "class_accuracy", "class_iou")
    assert set(values) == {p + k for p in ("", "ceiling_", "floor_") for k in kinds}
    for kind in kinds:
        assert values[kind] == values["ceiling_" + kind]  # the generated are the true ones
        assert values["ceiling_" + kind].mean > values["floor_" + kind].mean
    assert values["ceiling_pixel_accuracy"].mean > values["floor_pixel_accuracy"].mean + 0.1
    assert len(values["pixel_accuracy"].per_image) == 12
    assert values["pixel_accuracy"].mean == pytest.approx(
        np.mean(values["pixel_accuracy"].per_image)
    )
    assert LabelRecovery.share(values) == 1.0

    # Controls: photographs of other buildings, and flat fields, lie nearer to the floor.
    for ruin, limit in ((data["target"].roll(-1, 0), 0.5), (torch.zeros(12, 3, SIZE, SIZE), 0.5)):
        again = LabelRecovery(LabelRecoveryOptions(**QUICK))
        again.update(data, ruin)
        assert LabelRecovery.share(again.compute()) < limit


def test_figures_are_those_of_the_confusion_matrix(metric, monkeypatch):
    # Two 2 x 2 images, classes 0 and 1; found: 0 0 / 0 1 against 0 0 / 1 1, and 1 1 / 1 1 against
    # 1 1 / 1 0. Pixel accuracy: 3/4 and 3/4. Confusion: n00 = 2, n01 = 1, n10 = 1, n11 = 4.
    # Recall: 2/3 and 4/5, mean 11/15. IoU: 2/4 and 4/6, mean 7/12. Classes 2 to 11 don't occur.
    found = [torch.tensor([[0, 0], [0, 1]]), torch.tensor([[1, 1], [1, 1]])]
    labels = torch.tensor([[[0, 0], [1, 1]], [[1, 1], [1, 0]]])
    queue = iter([torch.stack(found), torch.stack(found)])
    monkeypatch.setattr(label_recovery, "_segment", lambda *_: next(queue))
    images = torch.zeros(2, 3, 2, 2)
    metric.update({"labels": labels, "target": images}, images)
    values = metric.compute()
    assert values["pixel_accuracy"] == Score(0.75, (0.75, 0.75))
    assert values["class_accuracy"].mean == pytest.approx(11 / 15)
    assert values["class_iou"].mean == pytest.approx(7 / 12)
    # Shifted labels: 0 0 / 0 1 against 1 1 / 1 0 is 0 of 4, 1 1 / 1 1 against 0 0 / 1 1 is 2 of 4.
    assert values["floor_pixel_accuracy"] == Score(0.25, (0.0, 0.5))


def test_confusion_counts_true_by_row_and_found_by_column():
    counts = confusion(torch.tensor([3, 3, 0]), torch.tensor([2, 3, 3]))
    assert counts.sum() == 3
    assert counts[2, 3] == counts[3, 3] == counts[3, 0] == 1


def test_headline_says_the_share():
    def values(got, ceiling, floor):
        named = {"": got, "ceiling_": ceiling, "floor_": floor}
        return {prefix + "pixel_accuracy": Score(value) for prefix, value in named.items()}

    assert LabelRecovery.share(values(0.5, 0.8, 0.4)) == pytest.approx(0.25)
    text = LabelRecovery.headline(values(0.5, 0.8, 0.4))
    assert "0.500" in text
    assert "25% of the way from the floor 0.400 to the ceiling 0.800" in text
    assert math.isnan(LabelRecovery.share(values(0.5, 0.4, 0.4)))
    alone = values(0.5, 0.8, 0.4)
    del alone["floor_pixel_accuracy"]
    assert "no floor" in LabelRecovery.headline(alone)


def test_one_image_has_no_floor(metric):
    metric.update(batch(1), batch(1)["target"])
    assert not any(name.startswith("floor_") for name in metric.compute())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data | {"labels": data["labels"][:, :8]}, "differ in size"),
        (lambda data: data | {"labels": data["labels"] + 3}, "not in 0 to 11"),
        (lambda data: data | {"target": data["target"][:, :1]}, "needs RGB"),
    ],
)
def test_data_that_does_not_fit_is_refused(metric, change, message):
    data = batch(2)
    with pytest.raises(DataError, match=message):
        metric.update(change(data), data["target"])


TINY = {"images": 4, "steps": 2, "width": 4}


def test_training_is_seeded_and_leaves_torch_as_it_was():
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    nets = [segmenter.train(LabelRecoveryOptions(**TINY, seed=seed), SIZE) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    first, same, other = (net.state_dict() for net in nets)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_a_trained_net_is_cached_and_read_back(own_cache, monkeypatch):
    options = LabelRecoveryOptions(**TINY)
    first = trained(options, SIZE)
    path = cache_file(options, SIZE)
    assert list((own_cache / "label_recovery").iterdir()) == [path]  # no temporary file is left
    with monkeypatch.context() as patch:
        patch.setattr(label_recovery, "train", lambda *_: pytest.fail("trained again"))
        second = trained(options, SIZE)
    assert not second.training
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
    path.write_bytes(b"damaged")
    third = trained(options, SIZE)
    assert torch.equal(third.head.weight, first.head.weight)
    assert path.stat().st_size > 1000


def test_cache_is_only_used_when_wanted(own_cache):
    trained(LabelRecoveryOptions(**TINY, use_cache=False), SIZE)
    assert not (own_cache / "label_recovery").exists()


def test_cached_under_options_and_size():
    options = LabelRecoveryOptions(**TINY)
    paths = {
        cache_file(options, 32),
        cache_file(options, 64),
        cache_file(LabelRecoveryOptions(**TINY, seed=1), 32),
    }
    assert len(paths) == 3
    uncached = LabelRecoveryOptions(**TINY, use_cache=False)
    assert cache_file(uncached, 32).name == cache_file(options, 32).name


@pytest.mark.parametrize(
    ("size", "fitted"),
    [((64, 64), (64, 64)), ((256, 256), (128, 128)), ((256, 128), (128, 64)), ((33, 50), (32, 50))],
)
def test_pictures_and_labels_are_segmented_at_the_same_size(size, fitted):
    image, labels = torch.rand(2, 3, *size), torch.randint(12, (2, *size))
    small = fit_image(image)
    assert small.shape == (2, 3, *fitted)
    assert fit_labels(labels).shape == (2, *fitted)
    assert fit_labels(labels).dtype == labels.dtype
    assert Segmenter(4).eval()(small).shape == (2, 12, *fitted)


def test_shrinking_takes_the_mean_of_images_and_a_pixel_of_labels():
    image = torch.arange(256.0).repeat(1, 3, 256, 1)
    assert fit_image(image)[0, 0, 0, :3].tolist() == [0.5, 2.5, 4.5]
    labels = torch.zeros(1, 256, 256, dtype=torch.long)
    labels[:, :, 100:] = 11
    assert set(fit_labels(labels).unique().tolist()) == {0, 11}  # never a class between
    assert (fit_labels(labels)[0, 0, 49], fit_labels(labels)[0, 0, 50]) == (0, 11)


def accuracy(net, data):
    with torch.no_grad():
        found = torch.cat([net(image[None]).argmax(1) for image in data["target"]])
    return float((found == data["labels"]).float().mean())


def test_the_default_net_ships(monkeypatch, own_cache):
    """No training, nothing in the cache, for all pictures from 128 pixels on."""
    monkeypatch.setattr(label_recovery, "train", lambda *_: pytest.fail("trained"))
    with safe_open(label_recovery.SHIPPED, "pt") as file:
        assert file.metadata() == {"revision": str(REVISION)}, (
            "run `python plugins/facades/train_segmenter.py`"
        )
    for size in (128, 256, 512):
        net = trained(LabelRecoveryOptions(), size)
        assert net.head.weight.dtype == torch.float32
        assert not net.training
    assert not (own_cache / "label_recovery").exists()
    data = batch(8, 128)
    assert accuracy(net, data) > 0.78
    other = {"target": data["target"], "labels": data["labels"].roll(1, 0)}
    assert accuracy(net, other) < 0.5  # control: the labels of the next building
    # Any other option, or a smaller picture, isn't that net.
    for options, size in (({"seed": 1}, 128), ({}, 96)):
        with pytest.raises(pytest.fail.Exception, match="trained"):
            trained(LabelRecoveryOptions(**options), size)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # some four minutes of one core
def test_a_net_that_is_trained_anew_gives_the_same_score():
    data = batch(40, 128)
    again = segmenter.train(LabelRecoveryOptions(), 128)
    shipped = trained(LabelRecoveryOptions(), 128)
    assert accuracy(again, data) == pytest.approx(accuracy(shipped, data), abs=0.015)
    assert accuracy(again, data) > 0.8
    floor = {"target": data["target"], "labels": data["labels"].roll(1, 0)}
    assert accuracy(again, floor) < 0.4
