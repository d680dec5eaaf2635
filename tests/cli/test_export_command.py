"""`seqcli export`, and `seqcli translate --engine`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import seqcli
from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe

Call = Callable[..., Any]

STACK = "kind: transformer, hidden_size: 16, layers: 1, heads: 2, feedforward_size: 16"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """The run of a Transformer that has hardly learnt anything."""
    folder = tmp_path_factory.mktemp("runs") / "copy"
    overrides = [
        "data={kind: copy, alphabet: 4, longest: 5, examples: 200}",
        f"model={{encoder: {{{STACK}}}, decoder: {{{STACK}}}}}",
        "training={steps: 30, batch_tokens: 256, optimizer: {kind: adamw, learning_rate: 1e-2}}",
        "threads=1",
    ]
    list(prepare(load_recipe("copy", overrides), folder).train())
    return folder


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_text("abc\n\ndcba\na\n")
    return path


@pytest.mark.parametrize("options", [(), ("--nbest", "3", "--beam-size", "4"), ("--json", "--scores"), ("--scores",)])
def test_both_engines_answer_alike(run: Path, lines: Path, call: Call, options: tuple[str, ...]) -> None:
    if "--json" in options:
        lines.write_text("".join(f'{{"source": "{text}"}}\n' for text in ("abc", "", "dcba")))
    ours = call("translate", run, "-i", lines, *options)
    theirs = call("translate", run, "-i", lines, "--engine", "ctranslate2", *options)
    assert ours.code == theirs.code == 0
    assert theirs.err == ours.err
    assert len(theirs.out.splitlines()) == len(ours.out.splitlines())
    if not options:
        assert theirs.out == ours.out
        assert theirs.out.splitlines()[1] == ""


def test_an_export_is_a_folder_beside_the_run(run: Path, lines: Path, call: Call, tmp_path: Path) -> None:
    done = call("export", run, "--to", "ctranslate2", "--quantization", "int8")
    folder = run.with_name("copy-ctranslate2")
    assert done.code == 0
    assert done.out == ""
    assert str(folder) in done.err
    assert json.loads((folder / "export.json").read_text())["quantization"] == "int8"
    answers = call("translate", folder, "-i", lines, "--engine", "ctranslate2")
    assert answers.code == 0
    assert len(answers.out.splitlines()) == 4
    assert call("translate", folder, "-i", lines).code == 2
    assert call("export", run, "--to", "safetensors", "-o", tmp_path / "small", "-q").err == ""
    assert call("translate", tmp_path / "small", "-i", lines).out == call("translate", run, "-i", lines).out


def test_from_inside_the_run(run: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run / "checkpoints")
    assert call("export", "..").code == 0
    beside = run.with_name("copy-safetensors")
    assert (beside / "export.json").is_file()
    monkeypatch.chdir(run)
    assert call("export", ".", "--to", "onnx").code == 0
    assert (run.with_name("copy-onnx") / "export.json").is_file()
    monkeypatch.chdir(beside)
    ended = call("export", run, "-o", ".")
    assert ended.code == 2
    assert ended.err == ". is the folder that this runs in, which cannot be replaced; give another folder\n"
    assert (beside / "export.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "RUN", "--to", "tflite"), "there are ctranslate2, onnx and safetensors"),
        (("export", "RUN", "--to", "onnx", "--quantization", "int8"), "only an export to ctranslate2"),
        (("export", "RUN", "--to", "ctranslate2", "--quantization", "int2"), "there are float32"),
        (("export", "RUN", "-o", "RUN"), "is no export"),
        (("export", "NOWHERE"), "is no run directory"),
        (("translate", "RUN", "--engine", "fast"), "there are native and ctranslate2"),
        (("translate", "RUN", "--quantization", "int8"), "only --engine ctranslate2"),
        (("translate", "RUN", "--engine", "ctranslate2", "--alignments"), "native engine"),
        (("translate", "RUN", "--engine", "ctranslate2", "--replace-unknown"), "native engine"),
        (("translate", "RUN", "--engine", "ctranslate2", "--trace", "TRACE"), "leave --trace out"),
        (("translate", "RUN", "--engine", "ctranslate2", "--ensemble", "RUN"), "leave --ensemble out"),
        (("translate", "RUN", "--engine", "ctranslate2", "--mbr", "4"), "knows no sampling"),
        (("translate", "RUN", "device=cuda", "--engine", "ctranslate2"), "runs on the CPU"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    run: Path, lines: Path, call: Call, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    names = {"RUN": str(run), "NOWHERE": str(tmp_path / "nowhere"), "TRACE": str(tmp_path / "trace.jsonl")}
    more = ["-i", str(lines)] if arguments[0] == "translate" else []
    done = call(*(names.get(one, one) for one in arguments), *more)
    assert done.code == 2
    assert done.out == ""
    assert message in done.err
    assert "Traceback" not in done.err


def test_recurrent_models_are_refused_by_their_key(copy_run: Path, lines: Path, call: Call, tmp_path: Path) -> None:
    commands = {
        "export": ("--to", "ctranslate2", "-o", tmp_path / "no"),
        "translate": ("--engine", "ctranslate2", "-i", lines),
    }
    for command, options in commands.items():
        done = call(command, copy_run, *options)
        assert done.code == 2
        assert "model.encoder.kind" in done.err
    assert not (tmp_path / "no").exists()


def test_images_are_exported_to_onnx(call: Call, tmp_path: Path, own_cache: None) -> None:
    recipe = tmp_path / "captions.yaml"
    recipe.write_text(
        "data: {kind: shapes_captions, size: 32, examples: 40}\n"
        "source: {image: {kind: pixels, width: 16, height: 16}}\n"
        "target: {tokenizer: {kind: words}}\n"
        "model:\n"
        "  encoder: {kind: conv, hidden_size: 16, channels: [4, 8], blocks: 1}\n"
        "  decoder: {kind: gru, hidden_size: 16, embedding_size: 8}\n"
        "training: {steps: 5, batch_sentences: 16, validate_every: null}\n"
    )
    run = tmp_path / "captions"
    list(prepare(load_recipe(str(recipe), []), run).train())
    done = call("export", run, "--to", "onnx", "-o", tmp_path / "out")
    assert done.code == 0
    assert "Warning" not in done.err
    about = json.loads((tmp_path / "out" / "model.json").read_text())
    assert about["encoder"]["inputs"] == {"image": ["batch", 3, 16, 16]}
    assert about["source"] is None
    assert about["image"]["width"] == 16
    assert call("export", run, "--to", "ctranslate2").code == 2


def test_the_python_api(run: Path, tmp_path: Path) -> None:
    loaded = seqcli.load(run)
    loaded.export(tmp_path / "one", to="ctranslate2", quantization="int16")
    loaded.export(tmp_path / "two", to="onnx")
    loaded.export(tmp_path / "three")
    assert seqcli.load(tmp_path / "three").translate(["abc"]) == loaded.translate(["abc"])
