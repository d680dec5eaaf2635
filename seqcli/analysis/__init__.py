"""What a model does inside, measured: attention heads, and what they are for."""
