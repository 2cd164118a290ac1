"""Train the segmentation network that ships with the facades plugin, and write its file.

    python plugins/facades/train_segmenter.py    # takes about four minutes of one core

It prints the network's score. Run it again when procedural facades are drawn differently (their
`REVISION` is raised), or when the network or its training changes.
"""  # a script beside the documents, no package

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from ganzoo_facades.label_recovery import SHIPPED
from ganzoo_facades.options import LabelRecoveryOptions, ProceduralFacadesOptions
from ganzoo_facades.procedural import REVISION, ProceduralFacades
from ganzoo_facades.segmenter import LARGEST, Segmenter, train


def pixel_accuracy(net: Segmenter, count: int = 40) -> float:
    """Share of pixels of the first `count` drawn test photographs whose label the net finds."""
    data = ProceduralFacades(ProceduralFacadesOptions(size=LARGEST), "test")
    found = []
    for index in range(count):
        sample = data.load(index)
        image = torch.from_numpy(sample["target"]).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.no_grad():
            labels = net(image).argmax(1)[0]
        found.append(float((labels == torch.from_numpy(sample["labels"])).float().mean()))
    return sum(found) / count


def write(net: Segmenter, path: Path) -> None:
    """Write the net's tensors in fp16: half the size, and the same labels but for a few pixels."""
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in net.state_dict().items()
    }
    save_file(tensors, path, {"revision": str(REVISION)})


if __name__ == "__main__":
    net = train(LabelRecoveryOptions(), LARGEST)
    print(f"pixel accuracy on 40 test photographs: {pixel_accuracy(net):.4f}")  # noqa: T201
    write(net, SHIPPED)
    print(f"wrote {SHIPPED}, {SHIPPED.stat().st_size:,} bytes", file=sys.stderr)  # noqa: T201
