"""`ganzoo doctor`: each fault is found where it is, and isn't found where it isn't."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ganzoo.cli import doctor
from ganzoo.cli.installation import Installation
from ganzoo.cli.main import main
from ganzoo.plugin_system import registry
from ganzoo.plugin_system.discovery import PluginRecord
from ganzoo.plugin_system.registry import current

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
    finding = doctor.Finding("x", "warning", "value", "a message", "a hint")
    monkeypatch.setattr(doctor, "device", lambda: [finding])
    assert main(["doctor"]) == 0
    told = capsys.readouterr()
    assert "! x" in told.out
    assert "a hint" in told.out
    broken = doctor.Finding("x", "broken", "value", "a message", "a hint")
    monkeypatch.setattr(doctor, "device", lambda: [broken])
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


def test_a_ganzoo_that_is_not_installed(monkeypatch):
    (here,) = found(doctor.versions(), "ganzoo")
    assert here.state == "ok"  # the control
    other = Installation("", ROOT, "somehow", "")
    monkeypatch.setattr(doctor, "installation", lambda: other)
    (finding,) = found(doctor.versions(), "ganzoo")
    assert finding.state == "warning"
    assert "isn't installed" in finding.message


def test_another_distribution_has_files_in_the_same_folder(versions):
    versions(ganzoo="0.0.1")
    (finding,) = found(doctor.versions(), "ganzoo")
    assert "the distribution ganzoo 0.0.1 is installed too" in finding.message
    assert "pip uninstall ganzoo torch-ganzoo" in finding.hint


# What it is built on.


def test_requirements(versions):
    assert found(doctor.versions(), "requirements") == []
    versions(rich="1.0", tomlkit="")
    faults = found(doctor.versions(), "requirements")
    assert {one.state for one in faults} == {"broken"}
    told = " ".join(one.message for one in faults)
    assert "isn't met by 1.0" in told
    assert "tomlkit" in told
    assert len(faults) == 2


def test_the_package_with_albumentations_import_name(versions):
    (fine,) = found(doctor.versions(), "albumentations")
    assert fine.state == "ok"
    versions(albumentationsx="2.1.0")
    (rival,) = found(doctor.versions(), "albumentations", "warning")
    assert "AGPL" in rival.message


# Plugins.


def record(namespace, **changes):
    known = {"distribution": f"ganzoo-{namespace}", "version": "1.0", "module": "x"}
    return PluginRecord(namespace=namespace, **(known | changes))


def test_plugins():
    fine = list(current().records)
    assert [one.state for one in doctor.states(fine)] == ["ok"]
    sick = record("sick", state="quarantined", reason="OSError: ouch")
    silent = record("silent", state="blocked", reason="blocked by you")
    findings = list(doctor.states([*fine, sick, silent]))
    (warning,) = found(findings, state="warning")
    assert warning.value == "sick (ganzoo-sick 1.0)"
    assert warning.message == "quarantined: OSError: ouch"
    assert [one.value for one in found(findings, state="note")] == ["silent (ganzoo-silent 1.0)"]


def test_nothing_of_ganzoos_own_works():
    assert len(found(doctor.states([record("toy")]), state="broken")) == 1


# The machine.


def test_what_auto_means_is_what_the_engine_does():
    from ganzoo.engine.accelerate_session import resolve
    from ganzoo.recipe.model import Train

    auto = resolve(Train())
    values = {one.name: one.value for one in doctor.device()}
    assert values["precision"] == f"auto selects {auto.precision}"
    assert values["device"] == f"auto selects {auto.device}"
    assert values["threads"] == f"auto selects {auto.threads}"


def test_a_driver_without_a_device(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # as with a driver that is too old
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: pytest.fail("was asked"))
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    (warning,) = found(doctor.device(), "device", "warning")
    assert "torch finds no CUDA device" in warning.message
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    assert found(doctor.device(), "device", "warning") == []


def test_folders(tmp_path, monkeypatch):
    (tmp_path / "data" / "facades").mkdir(parents=True)
    monkeypatch.setenv("GANZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "not" / "yet"))
    states = {one.name: one.state for one in doctor.paths() if one.name != "environment"}
    assert states == dict.fromkeys(("data", "cache", "runs"), "ok")
    monkeypatch.setenv("GANZOO_DATA", str(tmp_path / "nowhere"))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "file" / "below"))
    states = {one.name: (one.state, bool(one.hint)) for one in doctor.paths()}
    assert states["data"] == states["cache"] == ("warning", True)
    assert states["runs"] == ("ok", False)


def test_little_disk(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30))
    (finding,) = found(doctor.paths(), "cache")
    assert (finding.state, finding.message) == ("warning", "1.0 GiB free")


def test_variables(monkeypatch):
    monkeypatch.setenv("GANZOO_PLUGIN_AUTOLOAD", "0")
    told = {one.value for one in found(doctor.paths(), "environment")}
    assert "GANZOO_PLUGIN_AUTOLOAD=0" in told
    monkeypatch.delenv("GANZOO_PLUGIN_AUTOLOAD")
    assert not any("AUTOLOAD" in one.value for one in doctor.paths())
