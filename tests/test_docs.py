"""README and docs are true: their commands run, their recipes are valid, their links lead somewhere.

In each document the blocks marked sh, console and python run in order in one folder that holds a copy of the project, the
yaml blocks are checked as recipes (and written to the folder where their first line is `# name.yaml`), and those marked diff are
applied to the copy. A block after a line
`<!-- not run: why -->` is left out. In a console block `$ ` stands before a command, and the other lines are what it prints;
a line of `…` stands for any lines.

What takes long is made short, by the arguments in SHORT: a wrapper that comes first on the PATH adds them. What a document passes stands first,
so that the last one counts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import yaml

from seqcli.build.data import open_split
from seqcli.recipe.load import load_recipe

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
SHORT = {
    "train": "training.steps=4 training.batch_tokens=256 search.max_length=8 data.limit=100",
    "bench": "data.limit=20",
    "visualize gradients": "--examples 2 model.encoder.hidden_size=32 model.decoder.hidden_size=64",
}
"""What is added to the command lines that begin so."""
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: .+ -->\n\n?$")
LANGUAGES = {"sh", "console", "python", "yaml", "diff", "text"}
BASE = {
    "source": {"tokenizer": {"kind": "characters"}},
    "target": {"tokenizer": {"kind": "characters"}},
    "data": {"kind": "dates"},
    "model": {"encoder": {"kind": "gru"}, "decoder": {"kind": "gru"}},
    "training": {"steps": 100},
}
CASES = "\n".join(f'"{begin} "*) set -- "$@" {more};;' for begin, more in SHORT.items())
WRAPPER = f"""#!/usr/bin/env bash
case "$* " in
{CASES}
esac
exec {{python}} -m seqcli "$@"
"""


class Block(NamedTuple):
    """A fenced block: its document, the line it begins on, what it is marked as, and its text."""

    document: Path
    line: int
    language: str
    text: str
    runs: bool


def blocks(document: Path) -> Iterator[Block]:
    """All fenced blocks of a document."""
    content = document.read_text(encoding="utf-8")
    for match in FENCE.finditer(content):
        before = content[: match.start()]
        runs = not NOT_RUN.search(before)
        yield Block(document, before.count("\n") + 1, match[1], match[2], runs)


ALL = [block for document in DOCUMENTS for block in blocks(document)]
COMMANDS = ("sh", "console", "python", "diff")
WITH_COMMANDS = [
    document
    for document in DOCUMENTS
    if any(block.document == document and block.language in COMMANDS and block.runs for block in ALL)
]
QUICK = ("README.md", "data.md", "python.md")
"""The documents that the quick tests run; each command takes the seconds that torch needs to come."""


@pytest.fixture
def workplace(tmp_path: Path, python: Path) -> Path:
    """A copy of the project with a .venv that make takes for ready, whose seqcli trains for a few steps only."""
    folder = tmp_path / "seqcli"
    # with what Python has compiled of it
    for name in ("seqcli", "recipes", "scripts", "docs", "tests"):
        shutil.copytree(REPOSITORY / name, folder / name)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "README.md"):
        shutil.copy2(REPOSITORY / name, folder / name)
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    (commands / "seqcli").write_text(WRAPPER.format(python=python))
    (commands / "seqcli").chmod(0o755)
    (commands / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (commands / "python").chmod(0o755)
    (commands.parent / "ready").touch()
    return folder


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as a reader would, in `folder`, the copy of the project first in line everywhere."""
    environment = {
        **os.environ,
        "PATH": f"{folder / '.venv' / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "100",
        "SEQCLI_CACHE": str(folder / ".cache"),
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=250,
    )


def run_block(block: Block, folder: Path) -> None:
    """Run one block, or apply it; fail with what it printed."""
    where = f"{block.document.name}:{block.line}"
    if block.language == "sh":
        done = shell(block.text, folder)
    elif block.language == "python":
        (folder / "block.py").write_text(block.text)
        done = shell("python block.py", folder)
    elif block.language == "diff":
        (folder / "block.diff").write_text(block.text)
        done = shell("git apply --unidiff-zero --whitespace=error block.diff", folder)
    else:
        check_session(block, folder)
        return
    assert done.returncode == 0, f"{where} ended with {done.returncode}:\n{done.stdout}"


def check_session(block: Block, folder: Path) -> None:
    """Run a console block command by command, and compare what it prints."""
    commands = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    assert commands, f"{block.document.name}:{block.line}: no line begins with $"
    for command, _, expected in (one.partition("\n") for one in commands):
        printed = shell(command, folder).stdout
        lines = [".*" if line == "…" else re.escape(line.rstrip()) for line in expected.rstrip().split("\n")]
        shown = "\n".join(line.rstrip() for line in printed.rstrip().split("\n"))
        assert re.fullmatch("\n".join(lines), shown, re.DOTALL), (
            f"{block.document.name}:{block.line}: {command} printed\n{printed}"
        )


def test_blocks_are_marked_as_something_known_and_few_are_left_out() -> None:
    languages = [block.language for block in ALL]
    assert set(languages) <= LANGUAGES
    ran = [block for block in ALL if block.language in COMMANDS and block.runs]
    left_out = [block for block in ALL if not block.runs]
    assert len(ran) >= 25
    assert len(left_out) <= 4
    assert len(WITH_COMMANDS) >= 6


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "document",
    [pytest.param(one, marks=[] if one.name in QUICK else pytest.mark.real, id=one.stem) for one in WITH_COMMANDS],
)
def test_commands_run(document: Path, workplace: Path) -> None:
    for block in blocks(document):
        if name := re.match(r"# ([\w-]+\.yaml)\n", block.text):
            (workplace / name[1]).write_text(block.text, encoding="utf-8")
        elif block.language in COMMANDS and block.runs:
            run_block(block, workplace)


def test_diffs_fit_the_code(workplace: Path) -> None:
    diffs = [block for block in ALL if block.language == "diff"]
    assert len(diffs) >= 4
    for block in diffs:
        run_block(block, workplace)


YAML = [block for block in ALL if block.language == "yaml"]


@pytest.mark.parametrize("block", YAML, ids=lambda block: f"{block.document.stem}:{block.line}")
def test_yaml_is_a_valid_recipe_or_part_of_one(block: Block, tmp_path: Path) -> None:
    part = yaml.safe_load(block.text)
    path = tmp_path / "recipe.yaml"
    # our own reader has to see the author's spelling, so the missing sections are added as text
    missing = {key: value for key, value in BASE.items() if key not in part}
    path.write_text(block.text + (yaml.safe_dump(missing) if missing else ""), encoding="utf-8")
    assert load_recipe(str(path))


def test_data_sections_read_the_files_that_the_page_makes(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = REPOSITORY / "docs" / "data.md"
    first = next(block for block in blocks(document) if block.language == "sh")
    run_block(first, workplace)
    monkeypatch.chdir(workplace)
    read = 0
    for block in blocks(document):
        part = yaml.safe_load(block.text) if block.language == "yaml" else {}
        if not isinstance(part, dict) or part.get("data", {}).get("kind", "hub") in ("hub", "disk"):
            continue
        missing = {key: value for key, value in BASE.items() if key not in part}
        (workplace / "part.yaml").write_text(block.text + (yaml.safe_dump(missing) if missing else ""))
        recipe = load_recipe("part.yaml")
        corpora = [open_split(recipe.data, split) for split in ("train", "validation", "test")]  # type: ignore[arg-type]
        assert corpora[0] is not None
        firsts = [next(corpus.read()) for corpus in corpora if corpus is not None]
        assert all(example.source or example.image is not None for example in firsts)
        read += 1
    assert read >= 8


def headings(document: Path) -> set[str]:
    """The anchors of a document, as GitHub makes them of its headings."""
    text = re.sub(FENCE, "", document.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_somewhere() -> None:
    seen = 0
    for document in DOCUMENTS:
        text = re.sub(FENCE, "", document.read_text(encoding="utf-8"))
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"\w+:", link):
                continue
            seen += 1
            path, _, anchor = link.partition("#")
            target = (document.parent / path) if path else document
            assert target.exists(), f"{document.name} links to {link}"
            if anchor:
                assert anchor in headings(target), f"{document.name} links to {link}"
    assert seen >= 20


def make_docs() -> ModuleType:
    """scripts/make_docs.py as a module."""
    spec = spec_from_file_location("make_docs", REPOSITORY / "scripts" / "make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_references_are_up_to_date() -> None:
    made = make_docs()
    assert len(made.MADE) == 2
    for name in made.MADE:
        path = REPOSITORY / "docs" / name
        assert path.read_text(encoding="utf-8") == made.renewed(path), f"{name} is out of date; run `make docs`"


def test_the_reference_has_every_shipped_recipe_key_and_command() -> None:
    commands = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^## seqcli", commands, re.MULTILINE)) >= 13
    keys = (REPOSITORY / "docs" / "reference-recipe.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^\| `", keys, re.MULTILINE)) >= 100


def test_no_document_tells_where_it_was_written() -> None:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.])/(work|home|root|Users)/", text), document
