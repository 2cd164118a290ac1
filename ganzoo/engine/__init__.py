"""The engine trains networks, with optimizers, Accelerate, several ranks and checkpoints."""
