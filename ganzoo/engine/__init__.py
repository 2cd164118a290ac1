"""The engine: the only part that touches optimizers, Accelerate, ranks, precision and files."""
