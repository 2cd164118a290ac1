"""Class indices in conditional networks: that they are given, and projection discriminators."""

from __future__ import annotations

from torch import Tensor, nn


def class_indices(y: Tensor | None, classes: int) -> Tensor:
    """Return the class indices that a conditional network needs.

    Args:
        y: class indices, N, or None where the network was called without.
        classes: how many classes the network was built for.

    Raises:
        ValueError: there are none.
    """
    if y is None:
        message = f"was built for {classes} classes, and is called without class indices"
        raise ValueError(message)
    return y


def project_classes(
    logits: Tensor, features: Tensor, embedding: nn.Embedding, y: Tensor | None
) -> Tensor:
    """Add the product of features and the embedding of their class to a discriminator's logits.

    This is the projection discriminator (arXiv 1802.05637, equation 3).

    Args:
        logits: N x 1, of the images alone.
        features: pooled features, N x F.
        embedding: F numbers for each class.
        y: class indices, N.

    Raises:
        ValueError: there are no class indices.
    """
    direction: Tensor = embedding(class_indices(y, embedding.num_embeddings))
    return logits + (direction * features).sum(1, keepdim=True)
