"""Metrics of the core: `image` holds those that compare an image with its target."""
