"""Does the plugin keep ganzoo's contract? `ganzoo plugins check latent` asks the same."""

from ganzoo.testing import parametrize_with_checks


@parametrize_with_checks("latent")
def test_conformance(case, tmp_path):
    case(tmp_path)
