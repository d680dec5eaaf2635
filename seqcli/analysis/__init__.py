"""What a model does inside, measured: how gradients flow back through its states."""
