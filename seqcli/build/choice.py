"""From files of pairs alone to a recipe: which shipped one suits what is in them, and the `data` section that reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seqcli.build.data import open_split
from seqcli.data.corpus import SPLITS
from seqcli.data.hold_out import MOST
from seqcli.data.looking import Kind, Layout, find_layout, look
from seqcli.errors import DataError, RecipeError
from seqcli.recipe.data import FilesData, held_out
from seqcli.recipe.load import load_recipe
from seqcli.recipe.schema import Recipe

HOLD_OUT = 0.1
"""The share that is held out where no validation split is named."""
SENTENCE = 2.5
"""Words of a side, on average, from which on it is sentences."""


@dataclass(frozen=True)
class Suited:
    """A kind of pairs, in words; whether pairs are of it; and the recipe that is taken for it."""

    name: str
    fits: Callable[[Kind], bool]
    recipe: str


RECIPES = (
    Suited(
        "sentences to sentences",
        lambda kind: kind.source_words >= SENTENCE and kind.target_words >= SENTENCE,
        "translation/bpe-transformer",
    ),
    Suited("words and tags to words", lambda kind: kind.tagged, "inflection/monotonic-lstm"),
    Suited(
        "words to symbols with spaces between",
        lambda kind: kind.source_words < SENTENCE and kind.target_parts >= 2 and kind.part_length <= 3,
        "g2p/monotonic-lstm",
    ),
    Suited("characters to characters", lambda kind: True, "words/monotonic-lstm"),
)
"""The first that fits is taken."""
WORDS = {"validation": {"dev", "val", "valid", "validation"}, "test": {"test"}}
"""Words in the name of a file, of several, that say which split it is."""


@dataclass(frozen=True)
class Chosen:
    """The recipe for files of pairs, the name of the run, and a line on what was seen and taken."""

    recipe: Recipe
    name: str
    told: str


def choose(files: Sequence[str], overrides: Sequence[str] = (), recipe: str | None = None) -> Chosen:
    """Look at files of pairs, and choose a recipe for them if none is named; `overrides` are written into it last.

    Of several files those whose names say so are validation and test, the others are learnt from. Raises `DataError` for files that cannot be
    read as pairs, RecipeError for overrides that cannot be obeyed.
    """
    splits = _splits(files)
    layout = find_layout(splits["train"][0])
    section = _section(splits, layout, overrides)
    # what the user says of columns counts for what is looked at, too
    about_data = [override for override in overrides if re.match(r"data[.=]", override)]
    data = load_recipe(RECIPES[-1].recipe, [section, *about_data]).data
    if not isinstance(data, FilesData):
        raise RecipeError(f"{files[0]} is the data; an override cannot make it {data.kind}")
    corpus = open_split(data.model_copy(update={"hold_out": None}), "train")
    assert corpus is not None
    kind = look(corpus.read(), corpus.name)
    suited = next(one for one in RECIPES if one.fits(kind))
    taken = recipe or suited.recipe
    if suited.recipe == RECIPES[0].recipe and not layout.named:
        # beside sentences a third column without a name is rather a remark
        section = _section(splits, replace(layout, features=None), overrides)
    resolved = load_recipe(taken, [section, *overrides])
    name = Path(re.sub(r"\.gz$", "", splits["train"][0], flags=re.IGNORECASE)).stem
    return Chosen(resolved, name, _told(splits, resolved, kind, suited, taken, asked_for=recipe is not None))


def _splits(files: Sequence[str]) -> dict[str, list[str]]:
    """The files of each split, by their names; one alone is to learn from."""
    found: dict[str, list[str]] = {split: [] for split in SPLITS}
    for file in files:
        words = set(re.split(r"[^a-z]+", Path(file).name.lower()))
        found[next((split for split, names in WORDS.items() if len(files) > 1 and words & names), "train")].append(file)
    if not found["train"]:
        raise DataError(
            f"{', '.join(files)}: by their names these are for validation and test; give a file to learn from too"
        )
    return {split: paths for split, paths in found.items() if paths}


def _section(splits: dict[str, list[str]], layout: Layout, overrides: Sequence[str]) -> str:
    """The `data` section as an override."""
    paths = {split: files[0] if len(files) == 1 else files for split, files in splits.items()}
    columns = {"source": layout.source, "target": layout.target}
    section: dict[str, object] = {"kind": "files", **paths, "columns": columns}
    if layout.features is not None:
        section |= {"columns": {**columns, "features": layout.features}, "features_separator": layout.separator}
    if "validation" not in splits and not any(re.match(r"data\.validation=(?!null$)", one) for one in overrides):
        section["hold_out"] = HOLD_OUT
    # JSON is YAML, but for the escapes of characters beyond the first plane, which are therefore left as they are
    return f"data={json.dumps(section, ensure_ascii=False)}"


def _told(
    splits: dict[str, list[str]], recipe: Recipe, kind: Kind, suited: Suited, taken: str, *, asked_for: bool
) -> str:
    """What was seen in the files, and what was taken for them."""
    data = recipe.data
    assert isinstance(data, FilesData)
    columns = [f"{data.columns.source} → {data.columns.target}"]
    if data.columns.features is not None:
        columns.append(f"tags in {data.columns.features}")
    if isinstance(data.columns.source, int):
        columns.append("no header line")
    others = [f"{', '.join(files)} for {split}" for split, files in splits.items() if split != "train"]
    aside = held_out(data)
    if aside:
        assert data.hold_out is not None
        size = f"{100 * data.hold_out:.3g}% of the sources, {MOST:,} at most for each,"
        others.append(f"{size} held out for {' and '.join(aside)} (data.hold_out={data.hold_out:g})")
    remedy = "" if asked_for else " (--recipe NAME takes another)"
    return (
        f"{', '.join(splits['train'])}: {suited.name} ({kind.source_words:.1f} words to {kind.target_words:.1f}, columns {', '.join(columns)}); "
        f"{'; '.join([f'recipe {taken}{remedy}', *others])}"
    )
