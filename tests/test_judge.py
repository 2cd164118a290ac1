"""Judges of metrics: trained once, kept under what they depend on, and read back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ganzoo.metrics import judge_file, kept_judge


def train() -> nn.Module:
    return nn.Linear(3, 2)


def refuse() -> nn.Module:
    pytest.fail("it was trained again")


def test_a_file_is_named_by_settings_and_by_the_content_of_the_sources(tmp_path: Path) -> None:
    source = tmp_path / "net.py"
    source.write_text("width = 3")
    first = judge_file("judges", "size 8", [source])
    assert first.parent.name == "judges"
    assert judge_file("judges", "size 8", [source]) == first
    assert judge_file("judges", "size 9", [source]) != first
    source.write_text("width = 4")
    assert judge_file("judges", "size 8", [source]) != first


def test_a_judge_is_trained_once_and_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "judges" / "one.safetensors"
    first = kept_judge(file, train, train)
    before = torch.get_rng_state()
    again = kept_judge(file, train, refuse)
    assert torch.equal(torch.get_rng_state(), before)
    assert not first.training
    assert not again.training
    assert torch.equal(again.weight, first.weight)
    for damage in (b"no weights", file.read_bytes()[:-4]):
        file.write_bytes(damage)
        with pytest.raises(pytest.fail.Exception):
            kept_judge(file, train, refuse)
    kept_judge(file, train, train)
    kept_judge(file, train, refuse)


def test_without_a_file_it_is_trained_each_time() -> None:
    with pytest.raises(pytest.fail.Exception):
        kept_judge(None, train, refuse)
