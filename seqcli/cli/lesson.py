"""`seqcli lesson`: the chapters of the lecture, and one of them run."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli.arguments import Quiet

if TYPE_CHECKING:
    from seqcli.lesson import Lesson


def lesson(
    chapter: Annotated[
        str | None, typer.Argument(metavar="[NUMBER|NAME]", help="A chapter to run; all are listed if not given.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY.PATH=VALUE]...",
            help="Keys to set in every command that takes keys, as in training.steps=50 for a quicker, worse lesson.",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The folder for its runs and pictures; it is made if it is not there."),
    ] = Path(),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "--print", help="Print the chapter's commands, and stop.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the list, or the chapter, as JSON, and run nothing.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """List the chapters of the lecture, or run one: its claim, the commands that show it, the picture, and how to read it."""
    from seqcli.cli.console import notes, print_json
    from seqcli.lesson import all_lessons, find_lesson

    notes.quiet = quiet

    if chapter is None:
        _list(all_lessons(), as_json=as_json)
        return
    found = find_lesson(chapter)
    commands = [_words(command, overrides or []) for command in found.commands]
    if as_json:
        print_json({**found.as_json(), "commands": list(map(_typed, commands))})
    elif dry_run:
        typer.echo("\n".join(map(_typed, commands)))
    else:
        _run(found, commands, output, quiet=quiet)


def _list(lessons: Sequence[Lesson], *, as_json: bool) -> None:
    from seqcli.cli.console import data, note, print_json, table

    if as_json:
        print_json([one.as_json() for one in lessons])
        return
    rows = [[str(one.number), one.name, one.title, one.shown] for one in lessons]
    data.print(table("The lecture", ["", "name", "chapter", "what is shown"], rows, left=4))
    note("to run one: seqcli lesson NUMBER, or its name")


def _typed(words: Sequence[str]) -> str:
    """The command as one types it."""
    return shlex.join(["seqcli", *words])


def _words(command: str, overrides: Sequence[str]) -> list[str]:
    """The words of a command after `seqcli`, with the overrides in it if it takes any."""
    from seqcli.lesson import with_overrides

    words = shlex.split(command)[1:]
    return with_overrides(words, overrides) if _takes_keys(words) else words


def _takes_keys(words: Sequence[str]) -> bool:
    """Whether the help of the command says that keys of a recipe may be set."""
    return any("KEY.PATH=" in (one.metavar or "") for one in _command(words).params)


def _has_option(words: Sequence[str], name: str) -> bool:
    return any(name in one.opts for one in _command(words).params)


def _command(words: Sequence[str]) -> Any:
    """What click has of the command that these words begin with."""
    from seqcli.cli.app import app

    command: Any = typer.main.get_command(app)
    for word in words:
        inside = getattr(command, "commands", {})
        if word not in inside:
            break
        command = inside[word]
    return command


def _run(lesson: Lesson, commands: Sequence[list[str]], output: Path, *, quiet: bool) -> None:
    """Tell the claim, run the commands in `output`, and tell where the pictures are and what is to be seen in them."""
    from rich.markdown import Markdown

    from seqcli.cli.console import data, notes
    from seqcli.extras import require

    require("plots", "seqcli lesson")
    data.print(Markdown(f"# {lesson.number}. {lesson.title}\n\n{lesson.claim}"))
    with _inside(output):
        for words in commands:
            started = time.monotonic()
            notes.print(f"\n$ {_typed(words)}", soft_wrap=True)
            _call([*words, "--quiet"] if quiet and _has_option(words, "--quiet") else words)
            notes.quiet = quiet  # a command has its own
            notes.print(f"({time.monotonic() - started:.0f} s)")
    data.print()
    for name, shown in lesson.pictures.items():
        data.print(f"{output / name}: {shown}", soft_wrap=True)
    data.print(Markdown(f"## How to read it\n\n{lesson.reading}"))


def _call(words: list[str]) -> None:
    """Run a command of seqcli in this process, which has torch loaded after the first; ends this one where it ends badly."""
    from seqcli.cli.app import app

    code = app(words, prog_name="seqcli", standalone_mode=False)
    if code:
        raise typer.Exit(code)


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """A block whose working folder is `folder`. StorageError where it cannot be made."""
    from seqcli.errors import StorageError

    before = Path.cwd()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be used as a folder ({error.strerror or error})") from error
    try:
        yield
    finally:
        os.chdir(before)
