"""ganzoo: a zoo of GANs whose animals are plugins."""

__version__ = "0.1.0"
