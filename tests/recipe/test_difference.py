"""Which recipes are repeats of one experiment, and what tells the others apart."""

from __future__ import annotations

from seqcli.recipe.difference import group_by_recipe, short_names, value_text
from seqcli.recipe.load import load_recipe
from seqcli.recipe.schema import Recipe

NONE = "model.decoder.attention={kind: none}"


def recipe(*overrides: str) -> Recipe:
    return load_recipe("copy", overrides)


def grouped(**recipes: Recipe | None) -> dict[str, tuple[str, ...]]:
    return {group.label: group.names for group in group_by_recipe(recipes)}


def test_runs_that_differ_in_seed_and_folder_are_one_group() -> None:
    found = grouped(a=recipe(), b=recipe("seed=2", "run=x"), c=recipe(NONE), d=recipe(NONE, "seed=7"))
    assert found == {"attention=dot": ("a", "b"), "attention=none": ("c", "d")}


def test_any_other_difference_makes_another_group() -> None:
    for key in ("model.dropout=0.5", "threads=1", "data.seed=2", "training.steps=7", "device=cpu"):
        assert len(grouped(a=recipe(), b=recipe(key))) == 2, key


def test_all_that_differs_is_told_but_what_follows_from_a_kind() -> None:
    found = grouped(
        a=recipe("model.dropout=0.1"),
        b=recipe("model.encoder={kind: feedforward, hidden_size: 128}", "model.dropout=0.2"),
    )
    assert list(found) == ["encoder=gru, dropout=0.1", "encoder=feedforward, dropout=0.2"]


def test_what_differs_within_a_kind_is_told() -> None:
    """The feed-forward decoder has no attention; the two LSTMs, of the same kind, differ in theirs."""
    vanilla = ("model.encoder={kind: feedforward}", "model.decoder={kind: feedforward}")
    lstm = ("model.encoder={kind: lstm}", "model.decoder.kind=lstm")
    additive = "model.decoder.attention={kind: additive}"
    found = grouped(a=recipe(*vanilla), b=recipe(*lstm, NONE), c=recipe(*lstm, additive))
    assert list(found) == [
        "encoder=feedforward, decoder=feedforward",
        "encoder=lstm, decoder=lstm, attention=none",
        "encoder=lstm, decoder=lstm, attention=additive",
    ]


def test_what_a_kind_hides_is_told_where_nothing_else_tells() -> None:
    feed = "model.decoder.attention={kind: none, feed_summary: true}"
    found = grouped(a=recipe(), b=recipe(NONE), c=recipe(feed))
    assert list(found) == ["attention=dot", "attention=none, feed_summary=false", "attention=none, feed_summary=true"]


def test_where_much_differs_a_few_keys_tell() -> None:
    often = ("training.steps=9", "threads=1", "data.seed=5", "training.batch_tokens=99", "search.beam_size=3")
    found = grouped(a=recipe(), b=recipe(*often, "model.dropout=0.1"), c=recipe(*often, "model.dropout=0.2"))
    assert list(found) == ["dropout=0, …", "dropout=0.1, …", "dropout=0.2, …"]


def test_one_group_and_one_without_a_recipe_bear_their_names() -> None:
    assert grouped(a=recipe(), b=recipe("seed=2")) == {"a": ("a", "b")}
    assert grouped(x=None, a=recipe(), y=None) == {"x": ("x",), "a": ("a",), "y": ("y",)}
    assert grouped() == {}


def test_names_are_the_shortest_ends_that_tell() -> None:
    keys = ["model.encoder.hidden_size", "model.decoder.hidden_size", "model.encoder.kind", "seed", "data.kind"]
    assert list(short_names(keys).values()) == ["encoder.hidden_size", "decoder.hidden_size", "encoder", "seed", "data"]


def test_values_are_written_as_in_yaml() -> None:
    values = [value_text(each) for each in (None, True, 1e-3, [0.9, 0.98], "x", 10000)]
    assert values == ["null", "true", "0.001", "[0.9, 0.98]", "x", "10000"]
    assert len(value_text("x" * 100)) == 40
