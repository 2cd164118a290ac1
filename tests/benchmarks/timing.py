"""What all benchmarks share: rounds that alternate, medians with their spread, and JSON.

Contenders take turns, so that a busy neighbour meets all of them alike, and what counts is their
ratio within one run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """Repeated measurements of one thing.

    Args:
        median, lowest, highest: in the unit of the measurements.
        count: how many there were.
    """

    median: float
    lowest: float
    highest: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Summarise measurements."""
        kept = sorted(values)
        return cls(statistics.median(kept), kept[0], kept[-1], len(kept))

    def document(self) -> dict[str, float]:
        """For JSON."""
        return {
            "median": self.median,
            "lowest": self.lowest,
            "highest": self.highest,
            "count": self.count,
        }

    def words(self, unit: str, scale: float = 1.0, digits: int = 1) -> str:
        """The median and, in brackets, lowest and highest, each times `scale`."""
        median, lowest, highest = (
            f"{value * scale:.{digits}f}" for value in (self.median, self.lowest, self.highest)
        )
        return f"{median} {unit} ({lowest} to {highest})"


def alternate(
    contenders: Mapping[str, Callable[[], object]], rounds: int, *, warm: int = 2
) -> dict[str, Spread]:
    """Wall-clock seconds of each contender, called in turns.

    Args:
        contenders: what to time, by name.
        rounds: calls of each that count.
        warm: calls of each before these.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(warm + rounds):
        for name, call in contenders.items():
            began = time.perf_counter()
            call()
            if number >= warm:
                seconds[name].append(time.perf_counter() - began)
    return {name: Spread.of(values) for name, values in seconds.items()}


def ratio(above: Spread, below: Spread) -> float:
    """Ratio of two medians."""
    return above.median / below.median


def machine() -> dict[str, Any]:
    """What the figures were made on."""
    import torch

    from ganzoo.nn.device_and_precision import multiplies_bf16, processor

    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "bf16_in_hardware": multiplies_bf16("cpu"),
        "amx": bool(torch.cpu._is_amx_tile_supported()),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def arguments(
    description: str | None, *, rounds: int, extra: Sequence[tuple[str, dict[str, Any]]] = ()
) -> argparse.Namespace:
    """Parse `--rounds`, `--json` and a benchmark's own flags."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=rounds, help=f"measurements ({rounds})")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    for flag, settings in extra:
        parser.add_argument(flag, **settings)
    return parser.parse_args()


def show(document: Mapping[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """Print the figures: one JSON document with the machine, or lines for people."""
    if as_json:
        print(json.dumps({"machine": machine(), **document}, indent=2))
        return
    here = machine()
    print(
        f"{here['processor']}, {here['cores']} cores, {here['threads']} threads, "
        f"amx {here['amx']}, bf16 in hardware {here['bf16_in_hardware']}, torch {here['torch']}, "
        f"load {here['load'][0]}"
    )
    for line in lines:
        print(line)
