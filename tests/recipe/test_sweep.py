"""The grammar of a sweep: where values part, how many combinations there are, and what they are called."""

from __future__ import annotations

import pytest

from seqcli.errors import RecipeError
from seqcli.recipe.load import load_recipe
from seqcli.recipe.sweep import combinations, read_axes, split_values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1", ["1"]),
        ("1,2,3", ["1", "2", "3"]),
        ("1e-3, 1e-4", ["1e-3", "1e-4"]),
        ("[0.9, 0.98],[0.9,0.999]", ["[0.9, 0.98]", "[0.9,0.999]"]),
        ("{kind: none},{kind: additive, hidden_size: 8}", ["{kind: none}", "{kind: additive, hidden_size: 8}"]),
        ("{a: [1,{b: 2,c: 3}]},x", ["{a: [1,{b: 2,c: 3}]}", "x"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ('"a,\\",b",c', ['"a,\\",b"', "c"]),
        ('"a\\\\",c', ['"a\\\\"', "c"]),
        ("'it''s, so',c", ["'it''s, so'", "c"]),
        ("it's,so", ["it's", "so"]),
        ("['x]', \"y}\"],{k: ','}", ["['x]', \"y}\"]", "{k: ','}"]),
        ("a,,b", ["a", "", "b"]),
    ],
)
def test_commas_inside_brackets_and_quotes_belong_to_a_value(text: str, values: list[str]) -> None:
    assert split_values(text) == values


@pytest.mark.parametrize("text", ["[1,2", "{a: [1}", "1]", "'a,b", '"a\\",b'])
def test_what_is_not_closed_is_told(text: str) -> None:
    with pytest.raises(RecipeError, match="closed|not opened"):
        split_values(text)


def test_every_value_of_every_key_with_all_others() -> None:
    axes = read_axes(
        ["model.decoder.attention={kind: none},{kind: dot}", "training.steps=5", "model.dropout=0,0.1,0.2", "seed=1,2"]
    )
    found = combinations(axes)
    assert len(found) == 2 * 1 * 3 * 2
    assert len({each.overrides for each in found}) == len({each.name for each in found}) == 12
    assert found[0].name == "attention=none,dropout=0,seed=1"
    assert found[1].name == "attention=none,dropout=0,seed=2", "the last key varies fastest"
    assert found[-1].overrides == (
        "model.decoder.attention={kind: dot}",
        "training.steps=5",
        "model.dropout=0.2",
        "seed=2",
    )
    assert found[-1].settings == (("attention", "dot"), ("dropout", "0.2")), "what varies, but for the seed"
    recipes = [load_recipe("copy", each.overrides) for each in found]
    assert {(one.model.decoder.attention.kind, one.model.dropout, one.seed) for one in recipes} == {  # type: ignore[union-attr]
        (kind, dropout, seed) for kind in ("none", "dot") for dropout in (0.0, 0.1, 0.2) for seed in (1, 2)
    }


def test_names_are_short_and_of_their_own_and_stay_the_same_when_seeds_are_added() -> None:
    kinds = ["model.encoder.kind=gru,lstm", "model.decoder.kind=gru"]
    assert [each.name for each in combinations(read_axes([*kinds, "seed=1"]))] == [
        "encoder=gru,seed=1",
        "encoder=lstm,seed=1",
    ]
    more = [each.name for each in combinations(read_axes([*kinds, "seed=1,2"]))]
    assert more == ["encoder=gru,seed=1", "encoder=gru,seed=2", "encoder=lstm,seed=1", "encoder=lstm,seed=2"]
    both = combinations(read_axes(["model.encoder.layers=1,2", "model.decoder.layers=1,2"]))
    assert both[1].name == "encoder.layers=1,decoder.layers=2"
    odd = [each.name for each in combinations(read_axes(["data.name=a/b,a b,-1,1,../..", "seed=1"]))]
    assert odd == ["name=a-b,seed=1", "name=a-b,seed=1~2", "name=-1,seed=1", "name=1,seed=1", "name=..-,seed=1"] or (
        len(set(odd)) == 5 and not any("/" in name or " " in name for name in odd)
    )
    long = combinations(read_axes([f"data.name={'x' * 300},{'x' * 299}y"]))
    assert [each.name for each in long] == [f"name={'x' * 60}", f"name={'x' * 60}~2"]


def test_a_folder_can_have_every_name() -> None:
    many = [f"data.{key}={'ж' * 70},{'ж' * 60}б" for key in ("name", "path", "train")]
    names = [each.name for each in combinations(read_axes([*many, "seed=1,2"]))]
    assert len(set(names)) == 16
    assert max(len(name.encode()) for name in names) < 255
    assert all(name.startswith("name=жжж") for name in names)


def test_sections_are_called_by_what_tells_them_apart() -> None:
    models = ["{encoder: {kind: gru, layers: 2}, dropout: 0.1}", "{encoder: {kind: lstm, layers: 1}, dropout: 0.1}"]
    found = combinations(read_axes([f"model={','.join(models)}", "seed=1"]))
    assert [each.name for each in found] == ["model=encoder-gru,seed=1", "model=encoder-lstm,seed=1"]
    assert [each.settings for each in found] == [(("model", "encoder=gru"),), (("model", "encoder=lstm"),)]
    wide = ["{kind: additive}", "{kind: additive, hidden_size: 8}", "{kind: dot}"]
    found = combinations(read_axes([f"model.decoder.attention={','.join(wide)}"]))
    assert [each.settings[0][1] for each in found] == ["additive", "additive, hidden_size=8", "dot"]
    # a name stays when a value is added
    assert combinations(read_axes([f"model.decoder.attention={','.join(wide[::2])}"]))[0].name == found[0].name
    # what is no YAML is told by the recipe's reader, not here
    assert combinations(read_axes(["data={a: b: c},{a: d}"]))[0].name == "data=a-b-c"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["training.steps=100"], "nothing to sweep"),
        ([], "nothing to sweep"),
        (["seed"], "key.path=value"),
        (["=1,2"], "key.path=value"),
        (["seed=1,,2"], "a value is missing"),
        (["seed="], "a value is missing"),
        (["seed=1,2,1"], "1 is given twice"),
        (["seed=1,2", "seed=3"], "seed is given twice"),
        (["run=a,b"], "--output"),
        (["seed=[1,2"], "not closed"),
    ],
)
def test_mistakes_are_told(arguments: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        read_axes(arguments)


def test_all_mistakes_at_once() -> None:
    with pytest.raises(RecipeError) as told:
        read_axes(["seed=1,", "run=a", "x=[1"])
    assert len(str(told.value).splitlines()) == 3
