"""YAML 1.2 scalars, positions, and everything that is refused."""

from __future__ import annotations

import time

import pytest

from seqcli.recipe.tree import Place
from seqcli.recipe.yaml_parser import parse_yaml, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("2E3", 2000.0),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("+7", 7),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("Null", None),
        ("2011-03-05", "2011-03-05"),
        ("=", "="),
        ("<<", "<<"),
        (".", "."),
        ("e5", "e5"),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_quoted_scalars_stay_text() -> None:
    node, mistakes = parse_yaml("""{a: "1", b: '1e-4', c: "true", d: "", e: 5}""", place)
    assert not mistakes
    assert node.plain() == {"a": "1", "b": "1e-4", "c": "true", "d": "", "e": 5}
    assert parse_yaml("a: |-\n  5\n", place)[0].plain() == {"a": "5"}


def place(line: int, column: int) -> Place:
    return Place(0, line, column, "r.yaml")


def test_places_are_counted_from_one() -> None:
    node, _ = parse_yaml("a:\n  b: [1, x]\n", place)
    below, depth = node.deepest(("a", "b", 1))
    assert depth == 3
    assert str(below.place) == "r.yaml:2:10"
    assert str(node.deepest(("a", "b"))[0].key_place) == "r.yaml:2:3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nseed: 2\n", "r.yaml:2:1  seed  this key was already given on line 1"),
        ("run: &x a\nsource: *x\n", "r.yaml:2:9  source  aliases such as *x are not read; write the value out"),
        ("run: !!python/name:os.system x\n", "r.yaml:1:6  run  tags such as 'tag:yaml.org,2002:python/name:os.system'"),
        ("seed: !!str 5\n", "r.yaml:1:7  seed  tags such as 'tag:yaml.org,2002:str' have no meaning in a recipe"),
        ("a: 1\n---\nb: 2\n", "r.yaml:2:1  a second document begins here; a recipe is one document"),
        ("[1]: 2\n", "r.yaml:1:1  a key must be plain text"),
        ('run: "\\ud800"\n', "r.yaml:1:6  run  half a surrogate pair is not a character"),
        ("a:\n\tb: 1\n", "r.yaml:2:1  a tab; YAML is indented with spaces"),
        ("run: a: b\n", "r.yaml:1:7  a colon where none is due"),
        ("data: {kind: dates\nseed: 1\n", "r.yaml:2:5  a { is not closed before this point, or a comma is missing"),
        ("data:\n    kind: a\n  b: c\n", "r.yaml:3:3  this does not fit the lines above it"),
        ('run: "a\n', "r.yaml:2:1  a quotation mark is not closed"),
        ("run: a\x07b\n", "r.yaml:1:7  the character U+0007 is not allowed"),
        ('run: "\\UFFFFFFFF"\n', "r.yaml:1:9  this is not a character"),
        ("run: " + "[" * 3000, "r.yaml:1:38  nested more than 32 levels deep"),
        ("", "r.yaml:1:1  the recipe is empty; it needs the keys data, source, target, model, training"),
        (
            "# only a comment\n",
            "r.yaml:1:1  the recipe is empty; it needs the keys data, source, target, model, training",
        ),
        ("- seed: 1\n", "r.yaml:1:1  a list stands where a recipe is due; it needs the keys data"),
        ("just text\n", "r.yaml:1:1  'just text' stands where a recipe is due; it needs the keys data"),
    ],
)
def test_traps_are_refused(mistakes, text: str, message: str) -> None:
    assert any(line.startswith(message) for line in mistakes(text)), mistakes(text)


def test_an_alias_bomb_is_refused_at_once(mistakes) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    start = time.perf_counter()
    told = mistakes("\n".join(lines))
    assert time.perf_counter() - start < 2
    assert sum("aliases such as" in line for line in told) == 81


def test_a_file_that_is_too_big_or_not_utf8(mistakes, write, tmp_path) -> None:
    assert "more than 1,000,000 bytes" in mistakes("# " + "x" * 1_000_001)[0]
    from seqcli.errors import RecipeError
    from seqcli.recipe.load import load_recipe

    (tmp_path / "latin.yaml").write_bytes("seed: 1\nrun: größe\n".encode("latin-1"))
    with pytest.raises(RecipeError, match=r"latin\.yaml: byte 15 \(line 2\) is not UTF-8; save the file as UTF-8"):
        load_recipe("latin.yaml")


def test_windows_line_ends_and_a_byte_order_mark_are_read(mistakes, right: str) -> None:
    assert mistakes("\ufeff" + right.replace("\n", "\r\n")) == []
