"""One page that has all there is to see of a run, or of several side by side; it refers to nothing outside of itself."""
