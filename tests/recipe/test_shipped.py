"""What shipped recipes promise of each other."""

from __future__ import annotations

from seqcli.recipe.load import load_recipe

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
