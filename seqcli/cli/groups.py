"""Which of several runs are repeats of one experiment, as the pictures of many runs take them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def group_runs(runs: Sequence[Path]) -> dict[str, tuple[str, ...]]:
    """What is said of each group of runs that differ in the seed alone → their names; told on stderr where that is not plain to see.

    A folder without a recipe is a group of its own.
    """
    from seqcli.cli.console import note
    from seqcli.recipe.difference import group_by_recipe
    from seqcli.recipe.load import load_recipe

    files = {str(run): run / "recipe.yaml" for run in runs}
    recipes = {name: load_recipe(str(file)) if file.is_file() else None for name, file in files.items()}
    groups = {group.label: group.names for group in group_by_recipe(recipes)}
    for label, names in groups.items():
        if names != (label,):
            note(f"{label}: {', '.join(names)}")
    return groups
