"""`seqcli recipe …`, as the shell sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seqcli.cli.arguments import split_overrides
from seqcli.cli.recipe import app
from seqcli.errors import RecipeError, StorageError
from seqcli.recipe.shipped import read_header, shipped_recipes

shell = CliRunner()


def test_validate_checks_all_and_tells_all(write, right: str) -> None:
    write(right.replace("steps: 10", "stesp: 10"))
    result = shell.invoke(app, ["validate", "dates", "r.yaml", "nowhere.yaml", "copy"])
    assert result.exit_code == 2
    assert result.stdout == "dates is valid\ncopy is valid\n"
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("r.yaml:9:3  training.stesp  unknown key; did you mean steps?")
    assert lines[1].startswith("nowhere.yaml: there is no such recipe")


def test_validate_takes_overrides_for_every_recipe() -> None:
    assert shell.invoke(app, ["validate", "dates", "copy", "training.steps=3"]).exit_code == 0
    result = shell.invoke(app, ["validate", "training.stps=3", "dates", "copy"])
    assert result.exit_code == 2
    assert result.stderr.count("command line: training.stps=3  training.stps  unknown key; did you mean steps?") == 2
    assert isinstance(shell.invoke(app, ["validate", "seed=1"]).exception, RecipeError)


def test_a_file_with_an_equals_sign_is_a_recipe(write, right: str, tmp_path: Path) -> None:
    write(right)
    (tmp_path / "a=b.yaml").write_text(right)
    assert split_overrides(["a=b.yaml", "c=d", "r.yaml"]) == (["a=b.yaml", "r.yaml"], ["c=d"])
    assert shell.invoke(app, ["validate", "a=b.yaml"]).exit_code == 0
    assert split_overrides(["x=" + "y" * 5000]) == ([], ["x=" + "y" * 5000])


def test_ls_lists_every_recipe_with_its_header() -> None:
    rows = [line.split("\t") for line in shell.invoke(app, ["ls"]).stdout.splitlines()]
    assert [row[0] for row in rows] == list(shipped_recipes())
    assert len(rows) == 35
    assert all(len(row) == 3 and all(row) for row in rows)


def test_every_header_says_what_how_and_after_whom() -> None:
    for name, file in shipped_recipes().items():
        text = file.read_text(encoding="utf-8")
        assert f"\n# command: seqcli train {name}" in text
        assert "\n# paper: " in text
        assert read_header(file).expected


def test_cat_prints_the_file() -> None:
    result = shell.invoke(app, ["cat", "multi30k/gru"])
    assert result.stdout == shipped_recipes()["multi30k/gru"].read_text(encoding="utf-8")
    assert isinstance(shell.invoke(app, ["cat", "nothing"]).exception, RecipeError)


def test_cp_copies_and_does_not_overwrite(write, tmp_path: Path) -> None:
    write("mine")
    assert shell.invoke(app, ["cp", "multi30k/gru"]).stdout == "gru.yaml\n"
    assert (tmp_path / "gru.yaml").read_bytes() == shipped_recipes()["multi30k/gru"].read_bytes()
    refused = shell.invoke(app, ["cp", "dates", "r.yaml"])
    assert isinstance(refused.exception, RecipeError)
    assert (tmp_path / "r.yaml").read_text() == "mine"
    assert shell.invoke(app, ["cp", "dates", "r.yaml", "--force"]).exit_code == 0
    assert (tmp_path / "r.yaml").read_bytes() == shipped_recipes()["dates"].read_bytes()
    assert isinstance(shell.invoke(app, ["cp", "dates", "no/such/folder.yaml"]).exception, StorageError)


def test_schema_is_json() -> None:
    schema = json.loads(shell.invoke(app, ["schema"]).stdout)
    assert "training" in schema["properties"]


@pytest.mark.parametrize("arguments", [["--help"], ["ls"], ["schema"], ["validate", "dates"]])
def test_no_heavy_library_is_imported(arguments: list[str]) -> None:
    code = (
        "import sys; from seqcli.cli.recipe import app; app(sys.argv[1:], standalone_mode=False);"
        "heavy = {'torch', 'datasets', 'pandas', 'matplotlib'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


def test_ls_as_json() -> None:
    told = json.loads(shell.invoke(app, ["ls", "--json"]).stdout)
    rows = [line.split("\t") for line in shell.invoke(app, ["ls"]).stdout.splitlines()]
    assert [[one["name"], one["description"], one["expected"]] for one in told] == rows


def test_a_score_that_goes_on_below_is_read_whole(write) -> None:
    header = "# A model.\n# command: x\n# expected: 1 BLEU,\n#   as published\n#   (elsewhere)\n# cost: 2\n#   more\nseed: 1\n"
    write(header)
    assert read_header(Path("r.yaml")) == ("A model.", "1 BLEU, as published (elsewhere)")
