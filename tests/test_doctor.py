"""`ganzoo doctor`: each fault is found where it is, and isn't found where it isn't."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ganzoo.api import Component
from ganzoo.cli import diagnosis, machine
from ganzoo.cli.installation import Installation
from ganzoo.cli.main import main
from ganzoo.plugin_system import registry
from ganzoo.plugin_system.discovery import PluginRecord
from ganzoo.plugin_system.registry import Registry, current

ROOT = Path(__file__).parents[1]


def found(findings, name=None, state=None):
    return [one for one in findings if name in {None, one.name} and state in {None, one.state}]


@pytest.fixture
def versions(monkeypatch):
    """Pretend that these distributions have these versions; "" for one that isn't there."""

    def pretend(**changes):
        real = importlib.metadata.version
        names = {name.replace("_", "-"): version for name, version in changes.items()}

        def version(name):
            answer = names[name] if name in names else real(name)
            if not answer:
                raise importlib.metadata.PackageNotFoundError(name)
            return answer

        monkeypatch.setattr(importlib.metadata, "version", version)

    return pretend


# The command.


def test_all_is_well_here(capsys):
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    for word in (
        "python",
        "ganzoo 0.1.0 of",
        "torch",
        "albumentations  2.0.8",
        "precision",
        "cache",
    ):
        assert word in told
    assert "X " not in told


def test_the_document(capsys):
    assert main(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["healthy"] is True
    names = {one["name"] for one in document["findings"]}
    assert {"python", "ganzoo", "torch", "device", "precision", "threads", "plugins"} <= names
    section = (ROOT / "docs" / "cli.md").read_text().partition("\n## ganzoo doctor\n")[2]
    for one in document["findings"]:
        assert set(one) == {"name", "state", "value", "message", "hint"}
        assert one["state"] in {"ok", "note", "warning"}
        assert f"`{one['name']}`" in section


def test_something_broken_ends_with_7_and_a_warning_does_not(capsys, monkeypatch):
    finding = diagnosis.Finding("x", "warning", "value", "a message", "a hint")
    monkeypatch.setattr(machine, "of_machine", lambda: [finding])
    assert main(["doctor"]) == 0
    told = capsys.readouterr()
    assert "! x" in told.out
    assert "a hint" in told.out
    broken = diagnosis.Finding("x", "broken", "value", "a message", "a hint")
    monkeypatch.setattr(machine, "of_machine", lambda: [broken])
    assert main(["doctor"]) == 7
    assert "1 broken" in capsys.readouterr().err
    assert main(["doctor", "--json"]) == 7
    assert json.loads(capsys.readouterr().out)["healthy"] is False


def test_it_works_without_torch(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.99 is missing')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from ganzoo.cli.main import main; "
        "sys.exit(main(['doctor', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    (torch,) = [one for one in json.loads(done.stdout)["findings"] if one["name"] == "torch"]
    assert torch["state"] == "broken"
    assert "libcudart.so.99" in torch["message"]
    assert torch["hint"]


@pytest.mark.parametrize("name", ["pydantic", "accelerate"])
def test_it_works_without_what_ganzoo_is_built_on(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("raise SystemError('two versions that do not fit')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from ganzoo.cli.main import main; "
        "sys.exit(main(['doctor', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    broken = [one for one in json.loads(done.stdout)["findings"] if one["state"] == "broken"]
    assert "two versions that do not fit" in " ".join(one["message"] for one in broken)
    assert {one["name"] for one in broken} <= {"plugins", "auto", "torch"}


def test_it_takes_plugins_of_files_and_blocks(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(registry, "_active", None)  # what tests after this one see stays
    (tmp_path / "sick.py").write_text("raise OSError('ouch')")
    assert main(["--plugin", str(tmp_path / "sick.py"), "doctor"]) == 0
    assert "quarantined: OSError: ouch" in capsys.readouterr().out
    assert main(["--no-plugin", "images", "doctor"]) == 0
    assert "images (torch-ganzoo 0.1.0)" in capsys.readouterr().out
    assert main(["--plugin", str(tmp_path / "absent.py"), "doctor"]) != 0


# Which ganzoo.


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("0.3.0", "code that runs is"),
        ("", "isn't installed"),
    ],
)
def test_the_wrong_ganzoo(monkeypatch, version, why):
    here = diagnosis.installation()
    other = Installation(version, here.place, "somehow", "")
    monkeypatch.setattr(diagnosis, "installation", lambda *_: other)
    monkeypatch.setattr(diagnosis, "_owned", lambda _: True)
    (finding,) = found(diagnosis.the_ganzoo(), state="warning")
    assert why in finding.message
    assert "pip uninstall ganzoo" in finding.hint or not version


def test_the_right_ganzoo():
    (finding,) = diagnosis.the_ganzoo()
    assert finding.state == "ok"


def test_two_distributions_claim_it(tmp_path, monkeypatch):
    info = tmp_path / "torch_ganzoo-0.0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: torch-ganzoo\nVersion: 0.0.1\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    (finding,) = found(diagnosis.the_ganzoo(), state="warning")
    assert "2 distributions claim its name" in finding.message
    assert f"0.0.1 in {tmp_path.resolve()}" in finding.message


def test_another_distribution_has_files_in_the_same_folder(versions):
    versions(ganzoo="0.0.1")
    (finding,) = found(diagnosis.the_ganzoo(), state="warning")
    assert "the distribution ganzoo 0.0.1 is installed too" in finding.message
    assert "pip uninstall ganzoo torch-ganzoo" in finding.hint


def test_files_that_the_distribution_does_not_own(tmp_path, monkeypatch):
    """A folder `ganzoo` on Python's path before the installed one."""
    here = diagnosis.installation()
    elsewhere = Installation(here.version, tmp_path / "ganzoo", here.source, here.url)
    real = diagnosis.installation
    monkeypatch.setattr(diagnosis, "installation", lambda *one: real(*one) if one else elsewhere)
    (finding,) = found(diagnosis.the_ganzoo(), state="warning")
    assert "aren't its distribution's" in finding.message


# What it is built on.


def test_requirements(versions):
    assert found(diagnosis.requirements(), "requirements") == []
    versions(rich="1.0", tomlkit="", tensorboard="")
    faults = found(diagnosis.requirements(), "requirements")
    assert {one.state for one in faults} == {"broken"}
    told = " ".join(one.message for one in faults)
    assert "isn't met by 1.0" in told
    assert "tomlkit" in told
    assert len(faults) == 2
    (extra,) = found(diagnosis.requirements(), "tensorboard")
    assert extra.state == "note"


def test_the_two_packages_called_albumentations(versions):
    (fine,) = diagnosis.albumentations()
    assert fine.state == "ok"
    versions(albumentations="2.0.9")
    (other,) = diagnosis.albumentations()
    assert (other.state, other.value) == ("warning", "2.0.9")
    versions(albumentationsx="2.1.0")
    (rival,) = diagnosis.albumentations()
    assert rival.state == "warning"
    assert "AGPL" in rival.message
    assert "albumentations==2.0.8" in rival.hint


@pytest.mark.parametrize(
    ("torch", "torchvision", "state"),
    [
        ("2.9.0", "0.24.0", "ok"),
        ("2.9.0+cu128", "0.24.0+cu128", "ok"),
        ("2.8.0", "0.24.0", "warning"),
        ("2.9.0+cpu", "0.24.0+cu128", "warning"),
    ],
)
def test_a_torchvision_for_another_torch(versions, monkeypatch, torch, torchvision, state):
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: ["numpy", "torch==2.9.0"])
    versions(torch=torch, torchvision=torchvision)
    (finding,) = diagnosis.torchvision()
    assert finding.state == state


def test_without_torchvision_nothing_is_said(versions):
    versions(torchvision="")
    assert list(diagnosis.torchvision()) == []


# Plugins.


def record(namespace, **changes):
    known = {"distribution": f"ganzoo-{namespace}", "version": "1.0", "module": "x"}
    return PluginRecord(namespace=namespace, **(known | changes))


def test_plugins(monkeypatch):
    fine = list(current().records)
    assert [one.state for one in diagnosis.plugins(Registry(fine))] == ["ok"]
    component = Component(kind="loss", name="x", target="x:y")
    added = [
        record("sick", state="quarantined", reason="OSError: ouch"),
        record("silent", state="blocked", reason="blocked by you"),
        record("needy", components=(component,)),
    ]
    monkeypatch.setattr(diagnosis, "version_of", lambda name: "1.0" if "ganzoo" in name else "")
    monkeypatch.setattr(
        importlib.metadata,
        "requires",
        lambda name: ["einops>=1"] if name == "ganzoo-needy" else [],
    )
    findings = list(diagnosis.plugins(Registry([*fine, *added])))
    warnings = [f"{one.value} {one.message}" for one in found(findings, state="warning")]
    assert len(warnings) == 2
    assert "sick (ganzoo-sick 1.0) quarantined: OSError: ouch" in warnings
    assert "ganzoo-needy it needs einops>=1 is missing" in warnings
    assert [one.value for one in found(findings, state="note")] == ["silent (ganzoo-silent 1.0)"]


def test_nothing_of_ganzoos_own_works():
    broken = found(diagnosis.plugins(Registry([record("toy")])), state="broken")
    assert len(broken) == 1


# The machine.


def test_what_auto_means_is_what_the_engine_does():
    from ganzoo.engine.accelerate_session import resolve
    from ganzoo.recipe.model import Train

    auto = resolve(Train())
    values = {one.name: one.value for one in machine.devices()}
    assert values["precision"] == f"auto is {auto.precision}"
    assert values["device"] == f"auto is {auto.device}"
    assert values["threads"] == f"auto is {auto.threads}"


def test_a_driver_without_a_device(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/usr/bin/{name}")
    (warning,) = found(machine.devices(), "device", "warning")
    assert "torch sees no CUDA device" in warning.message
    monkeypatch.setattr(machine.shutil, "which", lambda _: None)
    assert found(machine.devices(), "device", "warning") == []


def test_folders(tmp_path, monkeypatch):
    (tmp_path / "data" / "facades").mkdir(parents=True)
    monkeypatch.setenv("GANZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "not" / "yet"))
    assert {one.name: one.state for one in machine.folders()} == {
        **dict.fromkeys(("data", "cache", "runs"), "ok")
    }
    monkeypatch.setenv("GANZOO_DATA", str(tmp_path / "nowhere"))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "file" / "below"))
    states = {one.name: (one.state, bool(one.hint)) for one in machine.folders()}
    assert states["data"] == states["cache"] == ("warning", True)
    assert states["runs"] == ("ok", False)


def test_little_disk(monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30))
    (finding,) = found(machine.folders(), "cache")
    assert (finding.state, finding.message) == ("warning", "1.0 GiB free")


def test_variables_and_accelerates_config(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("GANZOO_PLUGIN_AUTOLOAD", "0")
    assert list(machine.accelerate_config()) == []
    assert "GANZOO_PLUGIN_AUTOLOAD=0" in {one.value for one in machine.variables()}
    (tmp_path / "accelerate").mkdir()
    (tmp_path / "accelerate" / "default_config.yaml").write_text("mixed_precision: fp16")
    (finding,) = machine.accelerate_config()
    assert finding.state == "note"
    assert "not used" in finding.message
