"""`seqcli visualize gradients`: how far back the loss of the last step is felt, in several models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from seqcli.cli.arguments import Dark, Json, Quiet, check_picture, is_override

if TYPE_CHECKING:
    from seqcli.analysis.flow import Chain, GradientHistory
    from seqcli.recipe.schema import Recipe

CELLS = ("rnn", "lstm", "gru")


class Asked(NamedTuple):
    """A recipe or a run to look at, what is set in it, what it is called, and what is set in it alone."""

    source: str
    overrides: tuple[str, ...]
    label: str
    own: tuple[str, ...] = ()


def gradients(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE|RUN [KEY.PATH=VALUE]...",
            help="Recipes and run directories. Keys after one are set in it alone, keys before the first in all.",
        ),
    ],
    steps: Annotated[
        str | None,
        typer.Option(
            "--steps",
            metavar="A,B",
            help="Steps of training to look at, 0 for the initialisation: a recipe is trained so far (0 if not given), a run must "
            "have kept these checkpoints (all if not given).",
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option("--length", min=1, help="Symbols of the sources to look at; copy, reverse and sort make them."),
    ] = None,
    examples: Annotated[int, typer.Option("--examples", min=1, help="How many examples to look at.")] = 16,
    cells: Annotated[
        bool,
        typer.Option(
            "--cells",
            help="Put rnn, lstm and gru, without attention and with it, and a Transformer in the place of each recipe's model.",
        ),
    ] = False,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="What to call a model; once for each, in their order.")
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="A picture of each model by itself: every layer and position.")
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The picture: .png, .svg or .pdf (several: numbered, or pages).")
    ] = Path("gradients.png"),
    dark: Dark = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw how the gradient of the last step's loss vanishes, holds or explodes on its way back, and print its half-lives.

    The length of ∂loss_T/∂h_t for every state h_t of encoder and decoder, on examples of one length (Bengio et al. 1994; Pascanu et
    al. 2013); the product of Jacobians ∂h_T/∂h_t; and the gradient's norm before clipping.
    """
    from seqcli.cli.console import busy, data, note, notes, print_json, table
    from seqcli.errors import RecipeError

    notes.quiet = quiet
    check_picture(output, "visualize gradients")
    wanted = _steps(steps)
    asked = _variants(_asked(sources)) if cells else _asked(sources)
    if label and len(label) != len(asked):
        raise RecipeError(f"{len(asked)} models, but {len(label)} times --label; give one for each")
    asked = [one._replace(label=name) for one, name in zip(asked, label, strict=True)] if label else _distinct(asked)
    found = []
    for one in asked:
        with busy(f"measuring {one.label}"):
            found.append(_history(one, wanted, length, examples))
    if as_json:
        print_json([history.as_json() for history in found])
    else:
        data.print(table(_title(found), COLUMNS, [row for history in found for row in _rows(history)], left=1))
    for path in _draw(found, output, layers=layers, dark=dark):
        note(f"wrote {path}")


COLUMNS = ("model", "step", "source", "target", "first/last", "radius", "clipped")


def _title(found: Sequence[GradientHistory]) -> str:
    """What the table shows, and on what."""
    sizes = {(flow.source_length, flow.target_length) for one in found for flow in one.flows}
    measured = ", ".join(f"{source} → {target}" for source, target in sorted(sizes))
    return f"gradient half-life in steps ({measured} symbols)"


def _rows(history: GradientHistory) -> list[list[str]]:
    """A row of the table for each step that was looked at."""
    clipping = history.clipping
    clipped = "–" if clipping is None or clipping.limit is None else f"{clipping.share:.0%}"
    return [
        [
            history.label,
            f"{flow.step:,}",
            _half_life(flow.main("encoder")),
            _half_life(flow.main("decoder")),
            f"{flow.first_by_last:.2g}",
            "–" if flow.radius is None else f"{flow.radius:.2f}",
            clipped if flow is history.flows[-1] else "",
        ]
        for flow in history.flows
    ]


def _half_life(chain: Chain | None) -> str:
    """Steps, or what the gradient does where it does not halve."""
    if chain is None:
        return "–"
    fade = chain.fade
    return (
        f"{fade.half_life:.3g}"
        if fade.slope < 0 and not fade.holds
        else fade.words.replace("doubles every", "doubles in")
    )


def _steps(text: str | None) -> list[int] | None:
    """The steps that are asked for. RecipeError for what is no list of numbers."""
    from seqcli.errors import RecipeError

    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise RecipeError(f"--steps {text}: give steps of training, as in 0,50,200")
    return sorted({int(part) for part in parts})


def _asked(arguments: Sequence[str]) -> list[Asked]:
    """The recipes and runs among the arguments, each with the keys that are set in it."""
    from seqcli.errors import RecipeError

    everywhere: list[str] = []
    found: list[Asked] = []
    for argument in arguments:
        if is_override(argument):
            if found:
                last = found[-1]
                found[-1] = last._replace(overrides=(*last.overrides, argument), own=(*last.own, argument))
            else:
                everywhere.append(argument)
        else:
            found.append(Asked(argument, tuple(everywhere), _name(argument)))
    if not found:
        raise RecipeError("there is no recipe and no run among the arguments, only keys; name one")
    return found


def _name(argument: str) -> str:
    from seqcli.inspection import is_run
    from seqcli.recipe.load import recipe_name

    return Path(argument).resolve().name if is_run(argument) else recipe_name(argument)


def _distinct(asked: Sequence[Asked]) -> list[Asked]:
    """Models of one name told apart by what is set in them."""
    names = [one.label for one in asked]
    return [
        one._replace(label=f"{one.label} {' '.join(one.own)}") if names.count(one.label) > 1 and one.own else one
        for one in asked
    ]


def _variants(asked: Sequence[Asked]) -> list[Asked]:
    """Each recipe with every cell, without and with additive attention, and with a Transformer, of the width of its decoder.

    RecipeError for a run, whose model is what it is, and where the source is an image.
    """
    from seqcli.errors import RecipeError
    from seqcli.inspection import is_run
    from seqcli.recipe.load import load_recipe
    from seqcli.recipe.model import text_encoder

    found = []
    for one in asked:
        if is_run(one.source):
            raise RecipeError(f"--cells: {one.source} is a run, whose cells are what they are; give a recipe")
        recipe = load_recipe(one.source, one.overrides)
        if text_encoder(recipe.model.encoder) is not recipe.model.encoder:
            raise RecipeError(
                f"--cells: {one.source} reads images, and the cells are to read text; give another recipe"
            )
        several = len(asked) > 1
        for name, keys in _cells(recipe):
            found.append(Asked(one.source, (*one.overrides, *keys), f"{one.label} {name}" if several else name))
    return found


def _cells(recipe: Recipe) -> list[tuple[str, tuple[str, ...]]]:
    """Names and overrides of the models that `--cells` compares."""
    width = recipe.model.decoder.hidden_size
    found: list[tuple[str, tuple[str, ...]]] = []
    for attention in ("none", "additive"):
        for cell in CELLS:
            sizes = f"kind: {cell}, hidden_size: {width}, embedding_size: {width}"
            decoder = f"{{{sizes}, bridge: copy, attention: {{kind: {attention}}}}}"
            name = cell if attention == "none" else f"{cell} + attention"
            found.append((name, (f"model.encoder={{{sizes}}}", f"model.decoder={decoder}", "model.tie=none")))
    stack = f"{{kind: transformer, hidden_size: {width}, layers: 2, heads: 4, feedforward_size: {4 * width}}}"
    found.append(("transformer", (f"model.encoder={stack}", f"model.decoder={stack}", "model.tie=none")))
    return found


def _history(asked: Asked, steps: list[int] | None, length: int | None, examples: int) -> GradientHistory:
    from seqcli.gradient_flow import recipe_history, run_history
    from seqcli.inspection import is_run
    from seqcli.recipe.load import load_recipe

    if is_run(asked.source):
        return run_history(
            asked.source, asked.overrides, steps=steps, length=length, examples=examples, label=asked.label
        )
    recipe = load_recipe(asked.source, asked.overrides)
    return recipe_history(recipe, steps=steps or (0,), length=length, examples=examples, label=asked.label)


def _draw(found: Sequence[GradientHistory], output: Path, *, layers: bool, dark: bool) -> list[Path]:
    from seqcli.figures.gradient_layers import layers_figure
    from seqcli.figures.gradients import gradients_figure
    from seqcli.figures.saving import save_figures

    if layers:
        return save_figures([layers_figure(history, dark=dark) for history in found], output)
    return save_figures([gradients_figure(found, dark=dark)], output)
