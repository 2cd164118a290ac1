"""Does the plugin keep ganzoo's contract? `ganzoo plugins check volumes` asks the same."""

from pathlib import Path
from tempfile import TemporaryDirectory

from ganzoo_volumes.phantoms import write_set

from ganzoo.testing import parametrize_with_checks

# Settings are needed when tests are collected, before there is a `tmp_path`.
SET = TemporaryDirectory()
write_set(Path(SET.name), 16, {"train": 3, "val": 2, "test": 2})


@parametrize_with_checks("volumes", settings={"volumes/folders": {"root": SET.name}})
def test_conformance(case, tmp_path):
    case(tmp_path)
