"""Does the toy keep ganzoo's contract? `ganzoo plugins check toy` asks the same."""

from ganzoo.testing import parametrize_with_checks


@parametrize_with_checks("toy")
def test_conformance(case, tmp_path):
    case(tmp_path)
