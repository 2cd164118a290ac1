"""What is the author's own: units, files, phantoms, and the error in HU."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ganzoo_volumes.data import Folders, Phantoms
from ganzoo_volumes.metric import Mae
from ganzoo_volumes.options import FoldersOptions, PhantomsOptions
from ganzoo_volumes.phantoms import draw, main
from ganzoo_volumes.volume import Volume, read_volume

from ganzoo.errors import DataError, DataMissing, EnvironmentFault, ExitCode
from ganzoo.interfaces import Field

CT = Field((1, 4, 6, 5), "volumes/volume", range=(-1000, 2000), unit="HU")
SMALL = PhantomsOptions(size=16, train=2, val=2, test=2)


def test_water_and_air():
    values = np.array([-1000.0, 0.0, 500.0, 2000.0], np.float32).reshape(1, 1, 4, 1)
    seen = Volume().to_tensors([values], CT)
    assert seen.flatten().tolist() == pytest.approx([-1, -1 / 3, 0, 1])
    assert np.abs(Volume().to_array(seen[0], CT) - values).max() <= 3000 * 2**-22


def test_the_slices_are_the_middle_ones():
    array = np.full((4, 6, 5, 1), -1000.0, np.float32)
    array[2] = 2000
    picture = Volume().picture(array, CT)
    factor = 96 // 6
    assert picture[: 6 * factor, : 5 * factor].min() == 255
    across_height = picture[: 4 * factor, 5 * factor + 2 : 10 * factor + 2, 0]
    assert np.array_equal(across_height[::factor, 0] == 255, [False, False, True, False])


def test_files_of_one_channel_have_three_axes(tmp_path):
    array = np.random.default_rng(0).normal(size=(4, 6, 5, 1)).astype(np.float32)
    Volume().write(array, tmp_path / "a.npy", CT)
    assert np.load(tmp_path / "a.npy").shape == (4, 6, 5)
    assert np.array_equal(Volume().read(tmp_path / "a.npy", CT), array)
    np.save(tmp_path / "flat.npy", array[0, ..., 0])
    with pytest.raises(DataError, match="must be D x H x W, but is 6 x 5"):
        Volume().read(tmp_path / "flat.npy", CT)


def test_bone_is_as_dark_as_lung_in_mr_and_bright_in_ct():
    mr, ct, body = draw(32, 0, (0,))
    assert mr[ct == 900].mean() == pytest.approx(mr[ct == -750].mean(), rel=0.3)
    assert (ct[body == 0] == -1000).all()
    assert (ct[body == 1] > -1000).all()


def test_the_control_has_the_same_targets_with_the_sources_of_others():
    own = Phantoms(SMALL, "train").load(1)
    others = Phantoms(SMALL.model_copy(update={"pairs": "others"}), "train").load(1)
    assert np.array_equal(own["target"], others["target"])
    assert not np.array_equal(own["source"], others["source"])


def test_the_error_is_in_hu_within_the_mask():
    target = torch.full((1, 1, 2, 2, 2), -1.0)
    target[..., 1] = 0.0  # -1000 and 500 HU
    made = target.clone()
    made[:, :, 0, 0, 0] = -0.8  # off by 300 HU
    made[:, :, 1] = 1.0  # outside
    mask = torch.ones(1, 2, 2, 2, dtype=torch.int64)
    mask[:, 1] = 0
    metric = Mae()
    field = Field((1, 2, 2, 2), "volumes/volume", range=(-1000, 2000), unit="HU", mask="mask")
    metric.prepare({"target": field}, field)
    metric.update({"target": target, "mask": mask}, made)
    scores = metric.compute()
    assert scores["mae"].mean == pytest.approx(300 / 4)
    assert scores["floor_mae"].mean == pytest.approx(1500 / 2)
    assert "HU" in metric.protocol


def test_the_files_are_the_drawn_phantoms(tmp_path):
    main([str(tmp_path), "--size=16", "--train=2", "--val=1", "--test=1"])
    read, drawn = Folders(FoldersOptions(root=str(tmp_path)), "train"), Phantoms(SMALL, "train")
    assert len(read) == 2
    assert read.fields == drawn.fields
    for name, array in drawn.load(1).items():
        assert np.array_equal(read.load(1)[name], array)


def test_a_file_without_a_partner_is_named(tmp_path):
    main([str(tmp_path), "--size=16", "--train=2", "--val=1", "--test=1"])
    (tmp_path / "train/ct/000001.npy").unlink()
    with pytest.raises(DataError, match=r"no partner, such as 000001\.npy"):
        Folders(FoldersOptions(root=str(tmp_path)), "train")
    with pytest.raises(DataMissing, match=r"no \.nii\.gz files"):
        Folders(FoldersOptions(root=str(tmp_path), files=".nii.gz"), "train")


def test_nifti_files_are_turned_to_depth_height_width(tmp_path, monkeypatch):
    array = np.arange(24.0).reshape(2, 3, 4)  # x, y, z
    fake = SimpleNamespace(load=lambda path: SimpleNamespace(dataobj=array))
    monkeypatch.setitem(sys.modules, "nibabel", fake)
    read = read_volume(tmp_path / "a.nii.gz")
    assert read.shape == (4, 3, 2)
    assert read[3, 2, 1] == array[1, 2, 3]


def test_without_nibabel_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(EnvironmentFault) as caught:
        read_volume(tmp_path / "a.nii")
    assert "pip install 'ganzoo-volumes[nifti]'" in caught.value.hint
    assert caught.value.exit_code == ExitCode.ENVIRONMENT
