"""ganzoo: a zoo of GANs whose animals are plugins."""

__version__ = "0.1.0"

DISTRIBUTION = "torch-ganzoo"
"""The name by which pip knows ganzoo. The import name and the command are `ganzoo`."""

FORMER_DISTRIBUTION = "ganzoo"
"""The former name of the distribution, which old runs and old environments contain. On PyPI this
name belongs to another project."""
