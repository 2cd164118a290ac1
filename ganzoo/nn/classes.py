"""Use class indices in conditional networks, and in projection discriminators."""

from __future__ import annotations

from torch import Tensor, nn


def class_indices(y: Tensor | None, classes: int) -> Tensor:
    """Return the class indices of a conditional network's call, which must have some.

    Args:
        y: class indices, N, or None where the network was called without them.
        classes: the number of classes that the network was built for.

    Raises:
        ValueError: when there are no class indices.
    """
    if y is None:
        message = f"was built for {classes} classes, but is called without class indices"
        raise ValueError(message)
    return y


def project_classes(
    logits: Tensor, features: Tensor, embedding: nn.Embedding, y: Tensor | None
) -> Tensor:
    """Add the inner product of features and their class embedding to a discriminator's logits.

    This is the projection discriminator (arXiv 1802.05637, equation 3).

    Args:
        logits: the logits of the images without their classes, N x 1.
        features: pooled features, N x F.
        embedding: an embedding with F numbers for each class.
        y: class indices, N.

    Raises:
        ValueError: when there are no class indices.
    """
    direction: Tensor = embedding(class_indices(y, embedding.num_embeddings))
    return logits + (direction * features).sum(1, keepdim=True)
