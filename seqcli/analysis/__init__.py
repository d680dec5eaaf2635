"""What a model does inside, measured: why it wrote what it wrote."""
