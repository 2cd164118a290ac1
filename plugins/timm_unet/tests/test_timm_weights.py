"""First weights: files, the hub, what images they expect; and networks that need neither."""

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import DataError
from ganzoo.inference.application_weights import find_application
from ganzoo.inference.load_application import load_trained
from ganzoo.observers import Voice
from ganzoo.plugin_system.registry import current
from ganzoo.recipe import load_recipe
from ganzoo.testing import NotApplicable, cases
from ganzoo.testing.networks import io_of
from ganzoo_timm_unet.encoder import Encoder
from ganzoo_timm_unet.options import EncoderOptions, TimmPatchOptions, TimmUNetOptions
from ganzoo_timm_unet.patch import TimmPatch
from ganzoo_timm_unet.unet import TimmUNet

NAME = "mobilenetv3_small_050"  # small, and its images are normalised by ImageNet's statistics
SHAPE = (3, 64, 64)


def encoder(shape=SHAPE, **options):
    return Encoder(EncoderOptions(**{"encoder": NAME, **options}), shape).eval()


def maps_of(model, images):
    """Maps of the whole model by timm's other way to them, of images in [0, 1]."""
    cfg = model.pretrained_cfg
    mean, std = (torch.tensor(cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        return model.forward_intermediates((images - mean) / std, intermediates_only=True)


def close(one, two):
    return all(torch.allclose(a, b, atol=1e-4) for a, b in zip(one, two, strict=True))


# -- local files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["safetensors", "pth", "nested", "headless"])
def test_a_file_gives_the_features_of_the_model_it_was_saved_from(model, file, tmp_path, form):
    path, state = file, model.state_dict()
    if form in {"pth", "nested"}:
        path = tmp_path / "model.pth"
        torch.save({"state_dict": state} if form == "nested" else state, path)
    elif form == "headless":
        path = tmp_path / "headless.safetensors"
        save_file({k: v for k, v in state.items() if not k.startswith("classifier.")}, path)
    images = torch.rand(2, *SHAPE)
    with torch.no_grad():
        mine = encoder(weights=str(path))(2 * images - 1)
        other = encoder()(2 * images - 1)
    theirs = maps_of(model, images)
    assert close(mine[:4], theirs[:4])
    assert not close(mine[:4], maps_of(model, 2 * images - 1)[:4])  # control: not normalised
    assert not close(mine, other)  # control: another network


def test_files_of_other_families_are_taken(tmp_path):
    """timm renames layers when it makes pyramids; weights must arrive nevertheless."""
    for name in ("test_convnext", "test_mambaout", "test_coatnet"):
        torch.manual_seed(3)
        whole = timm.create_model(name)
        path = tmp_path / f"{name}.safetensors"
        save_file(whole.state_dict(), path)
        torch.manual_seed(4)
        wanted = {p.detach().double().sum().item() for p in whole.parameters() if p.dim() > 1}
        size = whole.pretrained_cfg["input_size"]
        loaded = encoder(size, encoder=name, weights=str(path)).model
        got = {p.detach().double().sum().item() for p in loaded.parameters() if p.dim() > 1}
        fresh = encoder(size, encoder=name).model
        control = {p.detach().double().sum().item() for p in fresh.parameters() if p.dim() > 1}
        # all but those that start as constants, which every network shares
        assert len(got) > 5
        assert got <= wanted, name
        assert len(control & wanted) < len(got) / 2, name


def test_no_second_copy_of_the_weights_is_kept(file):
    for part in encoder(weights=str(file)).modules():
        assert not getattr(part, "pretrained_cfg", {}).get("state_dict")


def test_one_channel_and_six_see_what_three_would(tmp_path):
    """Means and deviations of test_resnet are those of all channels, so that this is exact."""
    path = tmp_path / "model.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), path)
    one, three, six = (
        encoder((c, 64, 64), encoder="test_resnet", weights=str(path)) for c in (1, 3, 6)
    )
    grey, colour = torch.rand(1, 1, 64, 64), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert close(one(grey), three(grey.repeat(1, 3, 1, 1)))
        assert close(six(torch.cat([colour, colour], 1)), three(colour))
        assert not close(six(torch.cat([colour, -colour], 1)), three(colour))  # control


def test_normalisation_of_other_channel_counts(file):
    four, one = (encoder((c, 64, 64), weights=str(file)) for c in (4, 1))
    assert four.shift.flatten().tolist() == pytest.approx([-0.03, -0.088, -0.188, -0.03], abs=1e-6)
    assert one.shift.item() == pytest.approx(2 * (0.485 + 0.456 + 0.406) / 3 - 1)
    assert not hasattr(encoder(), "shift")  # nothing learnt: the image as it is


# -- the hub -------------------------------------------------------------------------------------


# -- a run, its resume, and prediction from its weights --------------------------------------------


def test_trained_networks_need_the_file_no_more(tiny, file, tmp_path, monkeypatch):
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(file.read_bytes())
    network = ["encoder=" + NAME, f"weights={mine}", "levels=3", "width=4"]
    sets = ["generator=timm_unet/unet", *(f"generator.{one}" for one in network)]
    sets += ["discriminator=timm_unet/timm_patch", "discriminator.frozen=true"]
    sets += [f"discriminator.{one}" for one in network]
    quiet = Voice(quiet=True)
    out = tmp_path / "run"
    run(load_recipe(tiny, sets), out=out, limits=Limits(2), voice=quiet, observers=[])
    mine.unlink()
    run(None, resume=out, limits=Limits(3), voice=quiet, observers=[])
    saved = [
        load_file(out / f"checkpoints/step_3/{r}.safetensors")
        for r in ("generator", "discriminator")
    ]
    stem = "encoder.model.conv_stem.weight"
    first = load_file(file)["conv_stem.weight"]
    adapted = first.repeat(1, 2, 1, 1) / 2
    assert torch.allclose(saved[1][stem], adapted)  # frozen, so still the file's, for six channels
    assert not torch.equal(saved[0][stem], first)  # trained
    weights = find_application(out / "checkpoints/step_3/generator.safetensors")
    made = load_trained(weights, device="cpu")({"source": torch.rand(3, 21, 35) * 2 - 1}, "a")
    assert made["target"].shape == (3, 21, 35)
    with pytest.raises(DataError, match="no such file"):  # control: a new run needs it
        run(load_recipe(tiny, sets), out=tmp_path / "new", voice=quiet, observers=[])


# -- frozen ----------------------------------------------------------------------------------------


def test_frozen_means_weights_and_statistics_and_lets_gradients_through(file):
    network = TimmPatch(
        TimmPatchOptions(encoder=NAME, weights=str(file), frozen=True, width=4),
        io_of((6, 64, 64)),
    )
    trained = TimmPatch(
        TimmPatchOptions(encoder=NAME, weights=str(file), width=4), io_of((6, 64, 64))
    )
    for one, stays in ((network, True), (trained, False)):  # the second is the control
        before = {n: t.clone() for n, t in one.encoder.state_dict().items()}
        optimizer = torch.optim.SGD([p for p in one.parameters() if p.requires_grad], 0.1)
        for _ in range(3):
            one.train()
            images = torch.rand(2, 6, 64, 64, requires_grad=True)
            sum(logits.mean() for logits in one(images)).backward()
            optimizer.step()
        assert images.grad.abs().sum() > 0
        after = one.encoder.state_dict()
        weights = torch.equal(before["model.conv_stem.weight"], after["model.conv_stem.weight"])
        statistics = torch.equal(before["model.bn1.running_mean"], after["model.bn1.running_mean"])
        assert weights is stays
        assert statistics is stays
        assert all(torch.equal(before[n], after[n]) for n in before) is stays


def test_the_frozen_discriminator_passes_the_kit(file, tmp_path):
    settings = {
        "timm_unet/timm_patch": {"encoder": NAME, "weights": str(file), "frozen": True, "levels": 3}
    }
    made = set()
    for number, case in enumerate(cases("timm_unet", current(), settings)):
        name = case.check.name
        if (
            case.entry is None
            or name != "check_calls_change_nothing"
            or "timm_patch" not in case.of
        ):
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            case(folder)
        except NotApplicable:
            continue
        made.add(name)
    assert "check_calls_change_nothing" in made


def test_the_generator_begins_with_the_file_too(model, file):
    io = io_of(SHAPE, SHAPE)
    network = TimmUNet(TimmUNetOptions(encoder=NAME, weights=str(file), width=4), io).eval()
    stem = network.encoder.model.conv_stem.weight
    assert torch.equal(stem, model.conv_stem.weight)
    assert stem.requires_grad
