"""How good it is, in figures that can be quoted."""
