"""Every key of every shipped recipe, misspelt by one edit: the line is exact, and the suggestion almost always right."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqcli.errors import RecipeError
from seqcli.recipe.keys import is_at, spots
from seqcli.recipe.load import load_recipe
from seqcli.recipe.shipped import shipped_recipes
from seqcli.recipe.synonyms import KEYS
from seqcli.recipe.tree import KeyPath, Node, Place
from seqcli.recipe.yaml_parser import parse_yaml

SORTS = ("deletion", "replacement", "insertion", "transposition")
LETTERS = "abcdefghijklmnopqrstuvwxyz_"
EVERY_KEY = {key for spot in spots() for key in spot.section.model_fields}


def keys_of(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Place]]:
    """Every key of a tree with its path and place."""
    if isinstance(node.value, dict):
        for key, below in node.value.items():
            yield (*path, key), below.key_place
            yield from keys_of(below, (*path, key))


def one_edit(sort: str, key: str, draw: random.Random) -> str:
    """The key with one typo of this sort."""
    at, letter = draw.randrange(len(key)), draw.choice(LETTERS)
    if sort == "deletion":
        return key[:at] + key[at + 1 :]
    if sort == "replacement":
        return key[:at] + letter + key[at + 1 :]
    if sort == "insertion":
        return key[:at] + letter + key[at:]
    at = max(at, 1)
    return key[: at - 1] + key[at] + key[at - 1] + key[at + 1 :]


def near(typo: str, key: str) -> bool:
    """Whether one edit leads from one to the other."""
    shorter, longer = sorted((typo, key), key=len)
    if len(longer) - len(shorter) > 1:
        return False
    same_start = next((i for i, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b), len(shorter))
    rest, other = shorter[same_start:], longer[same_start:]
    swapped = rest[1::-1] + rest[2:]
    return rest == other[1:] or (len(rest) == len(other) and (rest[1:] == other[1:] or swapped == other))


def siblings(path: KeyPath) -> set[str]:
    return {key for spot in spots() if is_at(spot, path) for key in spot.section.model_fields}


@pytest.mark.parametrize("turn", [0, *(pytest.param(turn, marks=pytest.mark.real) for turn in (1, 2, 3))])
def test_a_typo_is_placed_and_understood(turn: int, tmp_path: Path) -> None:
    """Each turn gives every key another of the four sorts of typos."""
    draw = random.Random(turn)
    outcome: Counter[str] = Counter()
    misunderstood = []
    for name, file in shipped_recipes().items():
        text = file.read_text(encoding="utf-8")
        tree, _ = parse_yaml(text, lambda line, column: Place(0, line, column, "x"))
        for number, (path, place) in enumerate(keys_of(tree)):
            key = str(path[-1])
            typo = one_edit(SORTS[(number + turn) % 4], key, draw)
            others = siblings(path[:-1]) - {key}
            if path[-2:-1] in (("where",), ("tasks",)):  # the user's own columns, and names of tasks
                continue
            if typo == key or typo in EVERY_KEY or typo in KEYS or any(near(typo, other) for other in others):
                outcome["excluded"] += 1
                continue
            lines = text.split("\n")
            line = lines[place.line - 1]
            lines[place.line - 1] = line[: place.column - 1] + typo + line[place.column - 1 + len(key) :]
            (copy := tmp_path / "copy.yaml").write_text("\n".join(lines), encoding="utf-8")
            with pytest.raises(RecipeError) as caught:
                load_recipe(str(copy))
            told = str(caught.value).splitlines()
            where = f"{copy}:{place.line}:{place.column}  "
            assert any(one.startswith(where) for one in told), (name, path, typo, told)
            assert len(told) == 1, (name, path, typo, told)
            understood = re.search(rf"did you mean {key}\?", told[0]) is not None
            outcome["understood" if understood else "misunderstood"] += 1
            if not understood:
                misunderstood.append((typo, told[0]))
    checked = outcome["understood"] + outcome["misunderstood"]
    print(dict(outcome), misunderstood)
    assert checked > 400
    assert outcome["excluded"] < 0.15 * checked
    assert outcome["understood"] >= 0.95 * checked, misunderstood
