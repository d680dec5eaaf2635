"""What shipped recipes promise of each other."""

from __future__ import annotations

import re
from pathlib import Path

from seqcli.recipe.keys import spots
from seqcli.recipe.load import load_recipe
from seqcli.recipe.synonyms import KEYS

WORDS = ("g2p/monotonic-lstm", "inflection/monotonic-lstm", "words/monotonic-lstm")


def test_the_recipes_of_words_are_one_model_and_one_training() -> None:
    """So that what one of them reaches says what to expect of the others, and no task has settings of its own."""
    recipes = [load_recipe(name) for name in WORDS]
    models = [recipe.model for recipe in recipes]
    trainings = [recipe.training.model_copy(update={"best_metric": "loss"}) for recipe in recipes]
    searches = [recipe.search for recipe in recipes]
    assert all(each == models[0] for each in models)
    assert all(each == trainings[0] for each in trainings)
    assert all(each == searches[0] for each in searches)


def test_the_languages_of_one_model_are_learnt_as_each_by_itself() -> None:
    alone, together = load_recipe("g2p/monotonic-lstm"), load_recipe("g2p/multilingual")
    same = {"model", "source", "target", "search", "evaluation"}
    assert together.model_dump(include=same) == alone.model_dump(include=same)
    assert together.training == alone.training.model_copy(update={"steps": 24000})


def test_the_names_of_other_toolkits_that_the_docs_list_are_known() -> None:
    """Of the table for people who come from fairseq, OpenNMT-py and JoeyNMT: each name is a key here, or the message says what it is here."""
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    rows = page[page.index("| fairseq | OpenNMT-py |") :].split("\n\n")[0].splitlines()[2:]
    own = {key for spot in spots() for key in spot.section.model_fields}
    options = [row.split("|")[1:4] for row in rows if not re.search(r"`(onmt_|fairseq-|joeynmt |build_)", row)]
    names = {
        name.split(":")[0].removeprefix("--").replace("-", "_")
        for row in options
        for cell in row
        for name in re.findall(r"`([^` ]+(?:: [^`]+)?)`", cell)
        if not name.endswith(".py")
    }
    assert len(names) > 30
    assert {name for name in names if name not in KEYS and name not in own} <= {"reset_optim"}
