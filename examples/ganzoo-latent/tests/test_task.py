"""What is the author's own: which networks there are, and what a code is."""

import pytest
from ganzoo.errors import DataError
from ganzoo.interfaces import Field, NetIO

from ganzoo_latent.options import AutoencoderOptions
from ganzoo_latent.task import Autoencoder

IMAGE = Field((3, 32, 24), "ganzoo/image")
CODE = Field((5, 8, 6), "latent/code")


def test_the_networks_fit_the_data():
    options = AutoencoderOptions(channels=5)
    io = {role: Autoencoder.io(role, options, {"real": IMAGE}) for role in Autoencoder.roles}
    assert io["encoder"] == NetIO({"real": IMAGE}, {"mean": CODE, "logvar": CODE})
    assert io["decoder"] == NetIO({"code": CODE}, {"real": IMAGE})
    assert io["discriminator"] == NetIO({"real": IMAGE})


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (Field((3, 30, 32), "ganzoo/image"), "32 x 30"),
        (Field((3,), "ganzoo/points"), "learns images"),
    ],
)
def test_other_data_are_refused(field, message):
    with pytest.raises(DataError, match=message):
        Autoencoder.io("encoder", AutoencoderOptions(), {"real": field})
