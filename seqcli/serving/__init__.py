"""A model behind HTTP: requests that arrive together go through it side by side."""
