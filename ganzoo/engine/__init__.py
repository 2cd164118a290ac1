"""The engine trains: only this part uses optimizers, Accelerate, ranks, precision and run files."""
