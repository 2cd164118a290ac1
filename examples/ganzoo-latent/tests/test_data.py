"""What is the author's own: what is drawn."""

from ganzoo_latent.data import Shapes
from ganzoo_latent.options import ShapesOptions


def test_no_two_splits_share_an_image():
    images = {
        Shapes(ShapesOptions(), split).load(index)["real"].tobytes()
        for split in ("train", "val", "test")
        for index in range(5)
    }
    assert len(images) == 15
