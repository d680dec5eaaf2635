"""The composition root: from a recipe to the objects that do the work.

Below it nothing knows recipes: everything it builds takes plain arguments.
"""
