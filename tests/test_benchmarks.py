"""Each benchmark runs at a tiny setting and prints one JSON document; none judges a time here."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "benchmarks"
TINY = {
    "convolutions": "--rounds 1 --largest 2",
    "data": "--rounds 1",
    "engine": "tiny --rounds 1",
    "growth": "--sweeps drift --drift-steps 20",
    "light_commands": "--rounds 1",
    "memory": "--rounds 1 --steps 1 --size 32 --width 4 --precisions fp32",
    "ranks": "--rounds 1 --steps 1 --size 32 --width 4 --precisions fp32 --no-single",
    "inference": "--rounds 1 --images 2",
    "start": "--rounds 1 gan_ring",
    "step": "--rounds 1 --precisions fp32 --set augment=[] --set data.size=32 "
    "--set generator.width=4 --set generator.depth=3 "
    "--set discriminator.width=4 --set discriminator.receptive_field=16",
    "waiting": "--rounds 1",
}
"""Flags with which each takes seconds."""
SLOW = {"growth", "inference", "light_commands", "memory", "ranks", "start", "step", "waiting"}
"""Those that take longer than 5 s; most start several interpreters one after the other."""


def with_main() -> list[str]:
    """Names of the modules that are run by `python -m tests.benchmarks.NAME --json`."""
    texts = {file.stem: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.py")}
    return [name for name, text in texts.items() if "--json" in text and "__main__" in text]


def test_each_benchmark_has_a_tiny_setting():
    assert set(with_main()) == set(TINY)
    assert set(TINY) >= SLOW


@pytest.fixture
def threads():
    """Threads of torch as they were, when the test is over."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in TINY],
)
def test_a_benchmark_prints_json(name, monkeypatch, capsys, threads):
    monkeypatch.delenv("GANZOO_DATA", raising=False)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [name, "--json", *TINY[name].split()])
    importlib.import_module(f"tests.benchmarks.{name}").main()
    assert len(json.loads(capsys.readouterr().out)) > 1


def test_growth_is_drawn_from_its_json(tmp_path):
    from xml.etree import ElementTree as ET

    point = {"flops": 1e9, "bytes": 1e8, "megabytes": 150.0, "value": 1}
    points = [
        point | {"seconds": {"median": 0.1}},
        point | {"flops": 4e9, "bytes": 3e8, "megabytes": 400.0, "seconds": {"median": 0.3}},
    ]
    drift = {"steps": [1, 2, 3], "milliseconds": [5.0, 4.0, 4.1], "megabytes": [70.0, 71.0, 71.0]}
    parts = [
        {"sweeps": {"width": {"points": points}}},
        {"sweeps": {}, "drift": drift},
    ]
    for number, part in enumerate(parts):
        (tmp_path / f"{number}.json").write_text(json.dumps(part), encoding="utf-8")
    command = [sys.executable, "-m", "tests.benchmarks.growth_plot", str(tmp_path / "out.svg")]
    files = [str(tmp_path / "0.json"), str(tmp_path / "1.json")]
    subprocess.run([*command, *files], check=True, cwd=ROOT)
    drawn = ET.parse(tmp_path / "out.svg")
    lines = drawn.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4  # time and memory of the sweep, time and memory of the long run
