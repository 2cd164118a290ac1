"""ganzoo: a zoo of GANs whose animals are plugins."""

__version__ = "0.1.0"

DISTRIBUTION = "torch-ganzoo"
"""The name by which pip knows ganzoo. The import name and the command are `ganzoo`."""

FORMER_DISTRIBUTION = "ganzoo"
"""The name that pip knew it by before, in old runs and old environments. On PyPI it is another
project's."""
