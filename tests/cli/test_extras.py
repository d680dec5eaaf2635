"""What commands do where an extra is not installed: the rest goes on, and what needs it says how to get it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqcli.data.images import FeatureReader, image_size
from seqcli.errors import RecipeError
from seqcli.experiment import prepare
from seqcli.extras import EXTRAS, require
from seqcli.figures.attention import attention_figure
from seqcli.recipe.load import load_recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with pytest

Call = Callable[..., Any]

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PICTURES = (
    "model.encoder={kind: conv, hidden_size: 16, channels: [4, 8], blocks: 1}",
    "model.decoder={kind: gru, hidden_size: 16, embedding_size: 8, attention: {kind: additive}}",
    "source={image: {kind: pixels, width: 16, height: 16}}",
    "target.tokenizer={kind: words}",
    "training={steps: 2, batch_sentences: 16, optimizer: {kind: adamw}, validate_every: null}",
    "evaluation.metrics=[loss]",
)
SHAPES = "data={kind: shapes_captions, size: 32, examples: 40}"


@pytest.fixture(scope="module")
def picture_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """A run that has hardly begun to caption pictures."""
    folder = tmp_path_factory.mktemp("runs") / "captions"
    list(prepare(load_recipe("copy", (SHAPES, *PICTURES)), folder).train())
    return folder


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working folder, where nothing of any extra can be imported."""
    monkeypatch.chdir(tmp_path)
    for module in {name for packages in EXTRAS.values() for name in packages}:
        monkeypatch.setitem(sys.modules, module, None)
    # what has loaded such a module would be found without it
    monkeypatch.delitem(sys.modules, "seqcli.data.pixels", raising=False)
    return tmp_path


def sentence(what: str, package: str, extra: str) -> str:
    return f"{what} needs {package}, which is not installed; in the folder of seqcli: pip install '.[{extra}]'\n"


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("visualize attention RUN --text abc", "visualize attention"),
        ("visualize attention RUN --text abc --output look.gif", "visualize attention"),
        ("visualize attention RUN --text abc --output look.png --json", "visualize attention"),
        ("visualize curves RUN", "visualize curves"),
        ("visualize gradients RUN", "visualize gradients"),
        ("visualize gradients copy", "visualize gradients"),
        ("visualize activations RUN", "visualize activations"),
        ("visualize gates RUN --text abc", "visualize gates"),
        ("visualize embeddings RUN", "visualize embeddings"),
        ("visualize lengths RUN", "visualize lengths"),
        ("visualize heads RUN --output heads.svg", "--output heads.svg"),
        ("explain RUN --text abc --output tree.pdf", "--output tree.pdf"),
        ("compare RUN RUN --output curves.png", "--output curves.png"),
        ("report RUN", "seqcli report"),
        ("lesson 1", "seqcli lesson"),
    ],
)
def test_a_picture_says_how_to_get_matplotlib(call: Call, bare: Path, copy_run: Path, command: str, what: str) -> None:
    result = call(*(str(copy_run) if word == "RUN" else word for word in command.split()))
    assert (result.code, result.out, result.err) == (2, "", sentence(what, "matplotlib", "plots"))
    assert list(bare.iterdir()) == []  # and nothing was begun


def test_pictures_need_pillow_too(call: Call, bare: Path, copy_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib")
    result = call("visualize", "curves", copy_run)
    assert (result.code, result.err) == (2, sentence("visualize curves", "Pillow", "plots"))


@pytest.mark.usefixtures("bare")
def test_a_figure_made_from_python_says_it_too() -> None:
    with pytest.raises(
        RecipeError, match=r"a picture needs matplotlib, .*; in the folder of seqcli: pip install '\.\[plots\]'"
    ):
        attention_figure(np.ones((1, 1)), ["a"], ["b"])


@pytest.mark.parametrize(
    ("command", "written"),
    [
        ("visualize attention RUN --text abc --output look.html", "look.html"),
        ("visualize attention RUN --text abc --arrays look.npz --json", "look.npz"),
        ("visualize heads RUN --examples 5", None),
        ("explain RUN --text abc", None),
        ("explain RUN --text abc --output tree.html", "tree.html"),
        ("compare RUN OTHER --resamples 40 --trials 10", None),
        ("eval RUN", None),
        ("score RUN pairs.txt pairs.txt", None),
        ("recipe ls", None),
        ("recipe validate vision/shapes-caption", None),
        ("lesson", None),
        ("lesson 1 --dry-run", None),
    ],
)
def test_what_draws_nothing_needs_no_extra(
    call: Call, bare: Path, copy_run: Path, early_run: Path, command: str, written: str | None
) -> None:
    (bare / "pairs.txt").write_text("a b c\n")
    runs = {"RUN": str(copy_run), "OTHER": str(early_run)}
    result = call(*(runs.get(word, word) for word in command.split()))
    assert result.code == 0, result.err
    assert len(result.out) > 5 if written is None else (bare / written).stat().st_size > 100


def test_builtin_shapes_say_how_to_get_pillow(call: Call, bare: Path) -> None:
    result = call("train", "vision/shapes-caption", "run=run")
    assert (result.code, result.err) == (2, sentence("data.kind shapes_captions", "Pillow", "images"))
    result = call("train", "vision/shapes-vqa", "run=run")
    assert (result.code, result.err) == (2, sentence("data.kind shapes_questions", "Pillow", "images"))
    assert list(bare.iterdir()) == []


def test_pixels_of_files_say_how_to_get_pillow(call: Call, bare: Path) -> None:
    (bare / "pairs.jsonl").write_text(json.dumps({"picture": "one.png", "words": "a dog"}) + "\n")
    data = "data={kind: files, train: pairs.jsonl, columns: {source: null, image: picture, target: words}}"
    result = call("train", "copy", data, *PICTURES, "run=run")
    assert (result.code, result.err) == (2, sentence("source.image", "Pillow", "images"))
    assert not (bare / "run").exists()


@pytest.mark.parametrize(
    "command", ["eval RUN", "translate RUN --input names.txt", "visualize attention RUN --image a.png -o a.html"]
)
@pytest.mark.usefixtures("bare")
def test_a_run_on_pictures_says_how_to_get_pillow(call: Call, picture_run: Path, command: str) -> None:
    Path("names.txt").write_text("a.png\n")
    result = call(*(str(picture_run) if word == "RUN" else word for word in command.split()))
    assert (result.code, result.out, result.err) == (2, "", sentence("source.image", "Pillow", "images"))


@pytest.mark.usefixtures("bare")
def test_features_need_no_pillow() -> None:
    grid = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    np.save("grid.npy", grid)
    assert FeatureReader(2, 3, 2).read("grid.npy", "a row").tolist() == grid.tolist()
    assert image_size("grid.npy") is None


@pytest.mark.parametrize(
    ("command", "what", "package", "extra"),
    [
        ("export RUN --to onnx", "an export to onnx", "onnx", "onnx"),
        ("export RUN --to ctranslate2", "an export to ctranslate2", "ctranslate2", "ctranslate2"),
        ("serve RUN --port 0", "seqcli serve", "starlette", "serve"),
        ("train copy loggers.tensorboard=true", "loggers.tensorboard", "tensorboard", "tensorboard"),
        ("train copy loggers.wandb={}", "loggers.wandb", "wandb", "wandb"),
        ("train copy loggers.trackio={}", "loggers.trackio", "trackio", "trackio"),
    ],
)
def test_other_extras_say_how_to_get_them(
    call: Call, bare: Path, copy_run: Path, command: str, what: str, package: str, extra: str
) -> None:
    result = call(*(str(copy_run) if word == "RUN" else word for word in command.split()))
    assert (result.code, result.out, result.err) == (2, "", sentence(what, package, extra))
    assert list(bare.iterdir()) == []


def test_a_folder_of_a_packages_name_is_no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "nothing_but_a_folder").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(EXTRAS, "serve", {"nothing_but_a_folder": "nothing"})
    with pytest.raises(RecipeError, match="this needs nothing, which is not installed"):
        require("serve", "this")
    (tmp_path / "nothing_but_a_folder" / "__init__.py").touch()
    require("serve", "this")


def test_the_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        return {each.partition(">")[0].partition("[")[0].lower() for each in requirements}

    given = {extra: names(each) for extra, each in project["optional-dependencies"].items()}
    assert set(given) == {*EXTRAS, "all", "dev"}
    for extra, packages in EXTRAS.items():
        assert {package.lower() for package in packages.values()} <= given[extra]
    optional = {package.lower() for packages in EXTRAS.values() for package in packages.values()}
    assert not optional & names(project["dependencies"])
    assert "seqcli[all]" in project["optional-dependencies"]["dev"]
