"""The composition root: from a recipe to the objects that do the work.

The only room beside `run.py`, `experiment.py` and the command line that knows recipes; everything it builds takes plain
arguments.
"""
