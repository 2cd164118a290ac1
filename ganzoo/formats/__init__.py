"""The core's formats: image, labels, points and class, and what they have in common."""
