"""The lecture: chapters in Markdown, each with a claim, the commands that show it, their pictures, and how to read them.

A chapter is `docs/lecture/NN-name.md`; the same files are in the installed package. `docs/lecture/README.md` says what stands in one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import NoReturn

from seqcli.errors import DataError, RecipeError

FILE_NAME = re.compile(r"(\d\d)-([a-z0-9-]+)\.md")
TITLE = re.compile(r"# (\d+)\. (.+)")
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
COMMANDS = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"^!\[([^\]]+)\]\(\.\./images/lecture/([\w.-]+)\)$", re.MULTILINE)
CLAIM, READING = "Claim", "How to read it"


@dataclass(frozen=True)
class Lesson:
    """A chapter. `pictures` are the files that its commands write, each with what it shows; texts are Markdown."""

    number: int
    name: str
    title: str
    claim: str
    commands: tuple[str, ...]
    pictures: dict[str, str]
    reading: str

    @property
    def shown(self) -> str:
        """What its pictures show, in one line."""
        return "; ".join(self.pictures.values())

    def as_json(self) -> dict[str, object]:
        """All of it."""
        return {
            "number": self.number,
            "name": self.name,
            "title": self.title,
            "shown": self.shown,
            "claim": self.claim,
            "commands": list(self.commands),
            "pictures": list(self.pictures),
            "reading": self.reading,
        }


def lecture_folder() -> Path:
    """The folder of the chapters: inside the installed package, or in the docs of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "lecture"
    return installed if installed.is_dir() else package.parent / "docs" / "lecture"


def all_lessons() -> list[Lesson]:
    """Every chapter, in order. DataError for one that lacks a part."""
    files = sorted(path for path in lecture_folder().glob("*.md") if FILE_NAME.fullmatch(path.name))
    if not files:
        raise DataError(f"{lecture_folder()}: there are no chapters; install seqcli anew")
    return [read_lesson(file) for file in files]


def find_lesson(wanted: str) -> Lesson:
    """The chapter of that number (`3`, `03`), name (`gates`), or both (`04-gates`). RecipeError where there is none."""
    lessons = all_lessons()
    for lesson in lessons:
        both = f"{lesson.number:02}-{lesson.name}"
        if wanted in (lesson.name, both) or (wanted.isdecimal() and int(wanted) == lesson.number):
            return lesson
    names = [lesson.name for lesson in lessons]
    near = get_close_matches(wanted, names, n=1)
    known = f"1 to {lessons[-1].number}, or {', '.join(names)}"
    raise RecipeError(f"lesson {wanted}: {f'did you mean {near[0]}?' if near else f'there are {known}'}")


def read_lesson(file: Path) -> Lesson:
    """The chapter in a file. DataError, with what is missing, where it has not the form of one."""
    text = file.read_text(encoding="utf-8")

    def refuse(problem: str) -> NoReturn:
        raise DataError(f"{file}: {problem}")

    named, title = FILE_NAME.fullmatch(file.name), TITLE.fullmatch(text.partition("\n")[0])
    if named is None or title is None or int(named[1]) != int(title[1]):
        refuse("a chapter is called NN-name.md, and its first line is `# N. Title`")
    blocks = COMMANDS.findall(text)
    if len(blocks) != 1:
        refuse(f"a chapter has one block marked bash; here are {len(blocks)}")
    commands = tuple(line for line in blocks[0].splitlines() if line.strip())
    if not commands or not all(command.startswith("seqcli ") for command in commands):
        refuse("each line of the block marked bash is a command that begins with seqcli")
    pictures = {name: shown for shown, name in PICTURE.findall(text)}
    if not pictures:
        refuse("a line ![What it shows](../images/lecture/NN-name.png) is missing")
    written = {PurePosixPath(word).name for command in commands for word in shlex.split(command)}
    if unknown := sorted(set(pictures) - written):
        refuse(f"no command writes {', '.join(unknown)}")
    parts = _parts(text)
    if missing := [heading for heading in (CLAIM, READING) if not parts.get(heading)]:
        refuse(f"a part `## {missing[0]}` is missing, or empty")
    return Lesson(int(named[1]), named[2], title[2], parts[CLAIM], commands, pictures, parts[READING])


def _parts(text: str) -> dict[str, str]:
    """Heading → what stands below it, without commands and pictures."""
    prose = PICTURE.sub("", COMMANDS.sub("", text))
    _, *rest = HEADING.split(prose)
    return {
        heading: re.sub(r"\n{3,}", "\n\n", body).strip() for heading, body in zip(rest[::2], rest[1::2], strict=True)
    }


def with_overrides(words: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The words of a command with `key.path=value` set in it: in the place of the same key, where it is given, else at the end."""
    keys = {override.partition("=")[0]: override for override in overrides}
    present = {key for key in keys if any(word.startswith(f"{key}=") for word in words)}
    replaced = [keys.get(word.partition("=")[0], word) if "=" in word else word for word in words]
    return [*replaced, *(override for key, override in keys.items() if key not in present)]
