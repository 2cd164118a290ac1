"""What only a GPU can show, in six minutes: `python -m tests.gpu [--seconds N] [--out FOLDER]`.

Runs from the source tree, without installation, network or data; each row of its report says
passed, failed or not possible, and why. Rows go to standard error as they come; at the end a JSON
document and a Markdown table for docs/performance.md go to standard output, and into FOLDER.

What ganzoo imports must be there: where there is no package index, carry its wheels, such as

    pip download --only-binary=:all: --python-version 3.12 --platform manylinux2014_x86_64 \\
        -d wheels accelerate albumentations==2.0.8 click jsonschema mlxtend \\
        opencv-python-headless packaging pillow platformdirs pluggy pydantic rich safetensors \\
        scikit-image scikit-learn timm tomlkit

Exit codes: 0 nothing failed, 1 a row failed, 7 there is no such device or a package is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.gpu.conduct import conduct, use_source_tree
from tests.gpu.parts import PARTS, Part, Setup
from tests.gpu.report import Row, document, table

NO_DEVICE = "no CUDA device"
ENVIRONMENT = 7
"""As `ganzoo.errors.ExitCode.ENVIRONMENT`, which may not be importable here."""


def main(arguments: Sequence[str] | None = None, parts: Sequence[Part] = PARTS) -> int:
    """Make the report; returns the exit code."""
    began = time.monotonic()
    given = _arguments(arguments)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        environment = use_source_tree(folder / "installed")
        # What cuBLAS needs to be deterministic has to be there before torch is imported.
        environment["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        try:
            import torch

            for part in parts:
                part.rows()
        except ImportError as error:
            print(f"{error}\n`python -m tests.gpu --help` says what to bring.", file=sys.stderr)
            return ENVIRONMENT

        def tell(row: Row) -> None:
            rows.append(row)
            print(row.line, file=sys.stderr, flush=True)
            if given.out is not None:
                _write(given.out, _machine(given.device), rows, time.monotonic() - began)

        possible = given.device == "cpu" or torch.cuda.is_available()
        if possible:
            left = given.seconds - (time.monotonic() - began)
            conduct(parts, Setup(given.device, left, folder), environment, tell)
        else:
            for part in parts:
                for name in part.rows():
                    tell(Row(part.name, name, "not possible", why=NO_DEVICE))
    machine = _machine(given.device)
    print(json.dumps(document(machine, rows, time.monotonic() - began)))
    print(table(machine, rows))
    if not possible:
        return ENVIRONMENT
    return int(any(row.status == "failed" for row in rows))


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=360.0, help="time for all of it (360)")
    parser.add_argument(
        "--device",
        choices=["cuda", "cpu"],
        default="cuda",
        help="cpu tries the logic of this check, with small networks",
    )
    parser.add_argument("--out", type=Path, help="also write gpu.json and gpu.md here, row by row")
    return parser.parse_args(arguments)


def _machine(device: str) -> dict[str, Any]:
    import torch

    from ganzoo.nn.device_and_precision import processor

    about: dict[str, Any] = {"torch": torch.__version__, "processor": processor()}
    if device == "cuda" and torch.cuda.is_available():
        about["gpu"] = torch.cuda.get_device_name()
        about["GPUs"] = torch.cuda.device_count()
        about["CUDA"] = torch.version.cuda
        about["cuDNN"] = torch.backends.cudnn.version()
    return about


def _write(folder: Path, machine: dict[str, Any], rows: list[Row], seconds: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = json.dumps(document(machine, rows, seconds), indent=1)
    (folder / "gpu.json").write_text(found, "utf-8")
    (folder / "gpu.md").write_text(table(machine, rows), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
