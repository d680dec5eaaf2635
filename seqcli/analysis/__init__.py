"""What a model does inside, measured: what its attention links, and whether that is right."""
