"""`seqcli recipe`: check recipes, and find, read and copy those that come with seqcli."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from seqcli.cli.arguments import Json, split_overrides

app = typer.Typer(no_args_is_help=True, help="Check recipes, and find, read and copy those that come with seqcli.")

ShippedName = Annotated[str, typer.Argument(metavar="NAME", help="A shipped recipe, as `seqcli recipe ls` names it.")]


@app.command()
def validate(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE... [KEY.PATH=VALUE...]",
            help="Files or names of shipped recipes; what has = in it and is no file overrides a key in all of them.",
        ),
    ],
) -> None:
    """Check recipes without data or model, and tell every mistake with its line. Exits with 2 if there is any."""
    from seqcli.errors import RecipeError
    from seqcli.recipe.load import load_recipe

    recipes, overrides = split_overrides(arguments)
    if not recipes:
        raise RecipeError("no recipe given; name a file or a shipped recipe before the overrides")
    wrong = False
    for recipe in recipes:
        try:
            load_recipe(recipe, overrides)
        except RecipeError as error:
            wrong = True
            typer.echo(str(error), err=True)
        else:
            typer.echo(f"{recipe} is valid")
    if wrong:
        raise typer.Exit(RecipeError.exit_code)


@app.command("ls")
def list_recipes(as_json: Json = False) -> None:
    """List the shipped recipes: name, what it is, expected score; tabs between them."""
    from seqcli.cli.console import print_json
    from seqcli.recipe.shipped import read_header, shipped_recipes

    headers = {name: read_header(file) for name, file in shipped_recipes().items()}
    if as_json:
        print_json([{"name": name, **header._asdict()} for name, header in headers.items()])
        return
    for name, header in headers.items():
        typer.echo(f"{name}\t{header.description}\t{header.expected}")


@app.command()
def cat(name: ShippedName) -> None:
    """Print a recipe as it is shipped, comments included."""
    from seqcli.recipe.load import find_recipe

    typer.echo(find_recipe(name).read_text(encoding="utf-8"), nl=False)


@app.command()
def cp(
    name: ShippedName,
    destination: Annotated[str, typer.Argument(metavar="[DEST]", help="A file or a folder.")] = ".",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
) -> None:
    """Copy a shipped recipe, to change it; prints where it lies."""
    from seqcli.errors import RecipeError, StorageError
    from seqcli.recipe.load import find_recipe

    source, target = find_recipe(name), Path(destination)
    if target.is_dir():
        target /= source.name
    if target.exists() and not force:
        raise RecipeError(f"{target} is there already; give another name, or --force to overwrite it")
    try:
        target.write_bytes(source.read_bytes())
    except OSError as error:
        raise StorageError(f"{target}: cannot be written: {error.strerror}") from None
    typer.echo(str(target))


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes.

    Editors with the YAML language server complete from it: write it to a file, and put
    `# yaml-language-server: $schema=that-file` on the first line of a recipe.
    """
    from seqcli.recipe.dump import recipe_schema

    typer.echo(json.dumps(recipe_schema(), indent=2, ensure_ascii=False))
