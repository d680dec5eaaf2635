"""The chapters of the lecture: each is run, with fewer steps, and leaves its pictures; each file has the form of a chapter."""

from __future__ import annotations

import json
import re
import shlex
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from PIL import Image

import seqcli.lesson
from seqcli.__main__ import main
from seqcli.errors import DataError, RecipeError
from seqcli.lesson import Lesson, all_lessons, find_lesson, lecture_folder, read_lesson, with_overrides

REPOSITORY = Path(__file__).resolve().parent.parent
LESSONS = all_lessons()
LONG = ("gradients", "gates", "initialization", "attention-scores", "self-attention", "attention-in-vision")
"""Those that train long even when they are made short."""
QUICK = ("training.steps=3", "training.batch_tokens=256", "data.limit=200", "threads=1")
"""What makes a lesson short, beside `data.examples` where the data are made."""
CHAPTER = """# 7. Of something

## Claim

`a = b` (Somebody 1990).

```bash
seqcli recipe cat copy

seqcli visualize curves runs/a -o 07-thing.png
```

![A thing](../images/lecture/07-thing.png)

## How to read it

From left to right.

## What came out

Numbers.
"""


def run(*arguments: str | Path) -> int:
    """Runs a command in this process; returns its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["seqcli", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


def quick(lesson: Lesson) -> tuple[str, ...]:
    """The overrides that make a lesson short: data that are made have no limit, but a number of examples."""
    words = set(shlex.split(" ".join(lesson.commands)))
    made = words & {"copy", "reverse", "sort"} and not words & {"dates"}
    # activations are looked at after so many steps, which the recipe must have
    long_enough = ("training.steps=30",) if "--steps" in words else ()
    return (*QUICK, *long_enough, *(("data.examples=200",) if made else ()))


@pytest.mark.parametrize(
    "lesson",
    [pytest.param(lesson, id=lesson.name, marks=pytest.mark.real if lesson.name in LONG else []) for lesson in LESSONS],
)
def test_a_lesson_runs_and_leaves_its_pictures(
    lesson: Lesson, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path.cwd()
    assert run("lesson", str(lesson.number), *quick(lesson), "--output", tmp_path / "made") == 0, capsys.readouterr()
    assert Path.cwd() == before
    told = capsys.readouterr()
    for name in lesson.pictures:
        with Image.open(tmp_path / "made" / name) as picture:
            assert min(picture.size) > 200
            assert len(set(picture.convert("L").getextrema())) == 2  # not one colour
        assert str(tmp_path / "made" / name) in told.out
    assert lesson.title in told.out
    assert told.err.count("$ seqcli ") == len(lesson.commands)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_chapter_has_its_pictures_and_says_where_its_claim_and_numbers_are_from(lesson: Lesson) -> None:
    for name in lesson.pictures:
        picture = REPOSITORY / "docs" / "images" / "lecture" / name
        assert name.startswith(f"{lesson.number:02}-")
        assert picture.stat().st_size <= 200_000, name
        with Image.open(picture) as image:
            assert image.format == "PNG"
    assert re.search(r"\b(19|20)\d\d\b", lesson.claim), "a claim names its source, with the year"
    text = (lecture_folder() / f"{lesson.number:02}-{lesson.name}.md").read_text(encoding="utf-8")
    assert re.search("EPYC|Xeon", text), "its figures name the processor"
    assert not re.search(r"(?<![\w.])/(work|home|root|Users)/", text)


def test_links_of_the_lecture_lead_somewhere() -> None:
    links = 0
    for document in lecture_folder().glob("*.md"):
        for link in re.findall(r"\]\(([^)\s#]+)[^)]*\)", document.read_text(encoding="utf-8")):
            if not re.match(r"\w+:", link) and "NN-" not in link:
                links += 1
                assert (document.parent / link).exists(), f"{document.name} links to {link}"
    assert links >= len(LESSONS)


def test_the_list_has_every_chapter_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(LESSONS) >= 5
    assert [one.number for one in LESSONS] == list(range(1, len(LESSONS) + 1))
    assert len({one.name for one in LESSONS}) == len(LESSONS)
    assert run("lesson") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert all(one.name in printed for one in LESSONS)
    assert run("lesson", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["title"] for one in listed] == [one.title for one in LESSONS]
    assert set(listed[0]) == {"number", "name", "title", "shown", "claim", "commands", "pictures", "reading"}


@pytest.mark.parametrize("wanted", ["3", "03", "gradients", "03-gradients"])
def test_a_chapter_is_found_by_number_and_by_name(wanted: str) -> None:
    assert find_lesson(wanted).number == 3


def test_an_unknown_chapter_is_refused_with_what_there_is() -> None:
    with pytest.raises(RecipeError, match="lesson gate: did you mean gates?"):
        find_lesson("gate")
    with pytest.raises(RecipeError, match="lesson 99: there are 1 to"):
        find_lesson("99")


def test_commands_are_printed_as_they_are_typed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lesson = find_lesson("1")
    assert run("lesson", "1", "--print", "--output", tmp_path / "none") == 0
    printed = capsys.readouterr().out.splitlines()
    assert [shlex.split(line) for line in printed] == [shlex.split(line) for line in lesson.commands]
    assert not (tmp_path / "none").exists()
    assert run("lesson", "1", "training.steps=5", "--dry-run") == 0
    assert all("training.steps=5" in line for line in capsys.readouterr().out.splitlines())


def test_keys_go_only_to_commands_that_take_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from seqcli.cli.lesson import _words

    assert _words("seqcli visualize curves runs/a", ["seed=2"]) == ["visualize", "curves", "runs/a"]
    assert _words("seqcli visualize lengths runs/a", ["seed=2"]) == ["visualize", "lengths", "runs/a", "seed=2"]
    assert _words("seqcli train copy", ["seed=2"]) == ["train", "copy", "seed=2"]


def test_a_quiet_lesson_has_quiet_commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr("seqcli.cli.lesson._call", called.append)
    for more in ((), ("--quiet",)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["seqcli", "lesson", "1", "--output", str(tmp_path), *more])
            with pytest.raises(SystemExit):
                main()
        told = capsys.readouterr()
        assert told.err.count("$ seqcli ") == (0 if more else len(called))
        assert find_lesson("1").title in told.out
    half = len(called) // 2
    assert called[half:] == [[*words, "--quiet"] for words in called[:half]]


def test_a_key_replaces_the_same_key_of_the_command() -> None:
    words = ["train", "copy", "training.steps=600", "model={dropout: 0.0}"]
    assert with_overrides(words, ["training.steps=3", "seed=2"]) == [
        *("train", "copy", "training.steps=3", "model={dropout: 0.0}", "seed=2")
    ]


def test_a_command_that_fails_ends_the_lesson_with_its_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Path.cwd()
    assert run("lesson", "1", "training.steps=many", "--output", tmp_path) == 2
    assert "training.steps=many" in capsys.readouterr().err
    assert Path.cwd() == before


def test_the_parts_of_a_chapter(tmp_path: Path) -> None:
    file = tmp_path / "07-thing.md"
    file.write_text(CHAPTER, encoding="utf-8")
    assert read_lesson(file) == Lesson(
        7,
        "thing",
        "Of something",
        "`a = b` (Somebody 1990).",
        ("seqcli recipe cat copy", "seqcli visualize curves runs/a -o 07-thing.png"),
        {"07-thing.png": "A thing"},
        "From left to right.",
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("# 7.", "# 8.", "first line"),
        ("```bash", "```sh", "one block marked bash; here are 0"),
        ("seqcli recipe", "rm", "begins with seqcli"),
        ("![A thing]", "[A thing]", r"a line !\[What it shows\]"),
        ("-o 07-thing.png", "-o thing.png", "no command writes 07-thing.png"),
        ("## Claim", "## Thesis", "`## Claim` is missing"),
        ("From left to right.", "", "`## How to read it` is missing, or empty"),
    ],
)
def test_a_chapter_without_a_part_is_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    file = tmp_path / "07-thing.md"
    file.write_text(CHAPTER.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=f"07-thing.md: .*{problem}"):
        read_lesson(file)


def test_the_chapters_are_in_the_wheel(tmp_path: Path) -> None:
    wheel = next(WheelBuilder(str(REPOSITORY)).build(directory=str(tmp_path), versions=["standard"]))
    packed = set(zipfile.ZipFile(wheel).namelist())
    files = {file.name for file in lecture_folder().glob("*.md")}
    assert {name.removeprefix("seqcli/lecture/") for name in packed if name.startswith("seqcli/lecture/")} == files
    assert "seqcli/lesson.py" in packed


def test_an_installed_package_reads_its_own_chapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "seqcli"
    (package / "lecture").mkdir(parents=True)
    (package / "lecture" / "07-thing.md").write_text(CHAPTER, encoding="utf-8")
    (package / "lecture" / "README.md").write_text("# The lecture", encoding="utf-8")
    monkeypatch.setattr(seqcli.lesson, "__file__", str(package / "lesson.py"))
    assert [one.name for one in all_lessons()] == ["thing"]
