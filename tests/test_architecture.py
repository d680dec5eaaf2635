"""Who may import whom: the order of the rooms, and one home (of Pillow: two) for each third-party library. Read from the source with `ast`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "seqcli"
FILES = sorted(PACKAGE.rglob("*.py"))

# Top to bottom: a room imports rooms below its own. `recipe` stands aside.
LEVELS = (
    ("seqcli.__main__",),
    ("seqcli.cli",),
    ("seqcli.report", "seqcli.serving"),
    (
        "seqcli.verification",
        "seqcli.benchmark",
        "seqcli.comparison",
        "seqcli.gradient_flow",
        "seqcli.inspection",
        "seqcli.sweep",
    ),
    ("seqcli.experiment",),
    ("seqcli.identity", "seqcli.averaging", "seqcli.engine"),
    ("seqcli.run",),
    ("seqcli.export",),
    ("seqcli.build",),
    ("seqcli.training", "seqcli.figures"),
    ("seqcli.analysis",),
    ("seqcli.evaluation", "seqcli.diagnosis"),
    ("seqcli.search",),
    ("seqcli.models", "seqcli.data"),
    ("seqcli.nn",),
    (
        "seqcli.types",
        "seqcli.storage",
        "seqcli.json_text",
        "seqcli.metrics",
        "seqcli.lesson",
        "seqcli.environment",
        "seqcli.extras",
    ),
    ("seqcli.symbols", "seqcli.errors"),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

HOMES: dict[str, str] = {
    "typer": "seqcli.cli",
    "rich": "seqcli.cli",
    "datasets": "seqcli.data.corpus",
    "sacrebleu": "seqcli.evaluation",
    "matplotlib": "seqcli.figures",
    "pydantic": "seqcli.recipe",
    "yaml": "seqcli.recipe",
    "sentencepiece": "seqcli.data.subwords",
    "pyarrow": "seqcli.data",
    "PIL": "seqcli.data seqcli.figures",  # pictures are read and made in one, painted on in the other
    "safetensors": "seqcli.training.checkpoint",
    "tensorboard": "seqcli.training.loggers",
    "ctranslate2": "seqcli.export",
    "onnx": "seqcli.export",
    "wandb": "seqcli.training.loggers",
    "trackio": "seqcli.training.loggers",
    "starlette": "seqcli.serving",
    "uvicorn": "seqcli.serving",
    "h11": "seqcli.serving.protocol",
}
EVERYWHERE = {"torch", "numpy", "typing_extensions", "seqcli", "__future__"}


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(file: Path, *, runtime_only: bool = False) -> Iterator[str]:
    """The full names of all modules that a file imports, anywhere in it."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if runtime_only and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped.update(below for statement in node.body for below in ast.walk(statement))
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import hides where a name comes from"
            module = node.module or ""
            for alias in node.names:
                # `from seqcli.cli import train` names a module, `from seqcli.types import Batch` does not
                below = PACKAGE.parent.joinpath(*module.split("."), alias.name)
                yield f"{module}.{alias.name}" if below.with_suffix(".py").is_file() or below.is_dir() else module


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def inside(module: str, home: str) -> bool:
    return module == home or module.startswith(f"{home}.")


OURS = [
    (module_of(file), name)
    for file in FILES
    if file.parent != PACKAGE or file.name != "__init__.py"
    for name in imports_of(file)
    if inside(name, "seqcli") and name != "seqcli"
]


def test_the_walk_saw_the_package() -> None:
    assert len(FILES) > 80
    assert len(OURS) > 300
    rooms = {room_of(module_of(file)) for file in FILES}
    assert rooms == {*LEVEL, "seqcli.recipe", "seqcli"}


def test_imports_go_downward() -> None:
    upward = [
        f"{module} imports {name}"
        for module, name in OURS
        if room_of(module) in LEVEL
        and room_of(name) in LEVEL
        and room_of(module) != room_of(name)
        and LEVEL[room_of(module)] >= LEVEL[room_of(name)]
    ]
    assert upward == []


def test_recipe_imports_only_errors_and_only_the_top_imports_recipe() -> None:
    out = {room_of(name) for module, name in OURS if room_of(module) == "seqcli.recipe"} - {"seqcli.recipe"}
    assert out == {"seqcli.errors"}
    into = {room_of(module) for module, name in OURS if room_of(name) == "seqcli.recipe"} - {"seqcli.recipe"}
    assert into == {
        "seqcli.cli",
        "seqcli.verification",
        "seqcli.comparison",
        "seqcli.gradient_flow",
        "seqcli.inspection",
        "seqcli.sweep",
        "seqcli.experiment",
        "seqcli.identity",
        "seqcli.averaging",
        "seqcli.engine",
        "seqcli.run",
        "seqcli.export",
        "seqcli.build",
    }


def test_models_and_data_never_meet() -> None:
    neighbours = [(m, n) for m, n in OURS if {room_of(m), room_of(n)} == {"seqcli.models", "seqcli.data"}]
    assert neighbours == []


def test_each_library_has_one_home() -> None:
    found = dict.fromkeys(HOMES, 0)
    for file in FILES:
        for name in imports_of(file, runtime_only=True):
            library = name.split(".")[0]
            if library in HOMES:
                found[library] += 1
                assert any(inside(module_of(file), home) for home in HOMES[library].split()), (
                    f"{file} imports {library}"
                )
            else:
                assert library in EVERYWHERE or library in sys.stdlib_module_names, f"{file} imports {library}"
    assert all(found.values()), found


def test_figures_draw_without_torch() -> None:
    names = [(file.name, name) for file in FILES if file.parent.name == "figures" for name in imports_of(file)]
    assert len(names) > 20
    assert [(file, name) for file, name in names if inside(name, "torch") or inside(name, "seqcli.types")] == []


def test_what_the_command_line_imports_at_once_is_light() -> None:
    """At the top of a command's file: typer and what is light; the rest inside the command, so that help is instant."""
    seen = 0
    for file in sorted((PACKAGE / "cli").glob("*.py")):
        if file.name in (
            "attention.py",
            "beam_tree.py",
            "comparison.py",
            "console.py",
            "line_wishes.py",
            "sources.py",
            "summary.py",
        ):  # imported by commands that run
            continue
        seen += 1
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("seqcli"):
                assert inside(node.module, "seqcli.cli") or node.module == "seqcli", f"{file}: {node.module}"
    assert seen >= 7


@pytest.mark.parametrize("name", ["utils", "util", "helpers", "common", "misc"])
def test_no_room_for_odds_and_ends(name: str) -> None:
    assert [file for file in FILES if name in file.relative_to(PACKAGE).with_suffix("").parts] == []
