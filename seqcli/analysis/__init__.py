"""What a model does inside, measured: gradients, activations, gates, embeddings, attention."""
