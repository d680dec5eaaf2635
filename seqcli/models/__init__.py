"""The zoo: encoders, decoders, and the model that joins them."""
