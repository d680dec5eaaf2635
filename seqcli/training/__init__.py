"""The loop, the optimizers, the checkpoints."""
