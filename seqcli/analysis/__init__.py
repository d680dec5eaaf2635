"""What a model does inside, measured: attention heads and what they are for, gradients as they flow back, scores by length."""
