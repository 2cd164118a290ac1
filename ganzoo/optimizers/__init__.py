"""The optimizers of torch.optim, and the schedules of learning rates, as components of the core."""
