"""The commands on images: what is left out is told, and `seqcli translate` answers paths, questions and JSON line by line."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as pillow

import seqcli
from seqcli.data.shape_captions import read_shape_captions
from seqcli.evaluation.translator import Translator
from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe

Call = Callable[..., Any]

CAPTIONS = """\
seed: 1
data: {kind: shapes_captions, size: 32, examples: 40}
source: {image: {kind: pixels, width: 16, height: 16}}
target: {tokenizer: {kind: words}}
model:
  encoder: {kind: conv, hidden_size: 16, channels: [4, 8], blocks: 1}
  decoder: {kind: gru, hidden_size: 16, embedding_size: 8, attention: {kind: additive}}
training: {steps: 30, batch_sentences: 16, optimizer: {kind: adamw, learning_rate: 2e-2}, validate_every: null}
search: {beam_size: 1, max_length: 6}
evaluation: {metrics: [loss]}
threads: 1
"""
QUESTIONS = (
    "data={kind: shapes_questions, size: 32, scenes: 3}",
    "source.tokenizer={kind: words}",
    "model.encoder={kind: image_text, image: {kind: conv, hidden_size: 16, channels: [4, 8]}, "
    "text: {kind: gru, hidden_size: 16, embedding_size: 8}}",
)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "captions.yaml"
    path.write_text(CAPTIONS)
    return path


@pytest.fixture(scope="module")
def captions(recipe: Path, tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "captions"
    list(prepare(load_recipe(str(recipe), []), folder).train())
    return folder


@pytest.fixture(scope="module")
def questions(recipe: Path, tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "questions"
    list(prepare(load_recipe(str(recipe), QUESTIONS), folder).train())
    return folder


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    pillow.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths from the working directory, in a folder with a space in its name."""
    monkeypatch.chdir(tmp_path)
    Path("my images").mkdir()
    drawn: Iterator[Any] = read_shape_captions("test", seed=1, size=32, examples=40).read()
    paths = [f"my images/{number}.png" for number in range(4)]
    for path in paths:
        Path(path).write_bytes(png(next(drawn).image))
    Path("damaged.png").write_bytes(Path(paths[0]).read_bytes()[:60])
    return paths


def translated(call: Call, run: Path, text: str, *options: str) -> Any:
    Path("input.txt").write_text(text, encoding="utf-8")
    return call("translate", run, "-i", "input.txt", *options)


def test_a_path_a_line(call: Call, captions: Path, pictures: list[str]) -> None:
    expected = seqcli.load(captions).translate(images=pictures)
    assert all(expected)
    ended = translated(call, captions, "".join(f"{path}\n" for path in pictures))
    assert (ended.code, ended.out.splitlines(), ended.err) == (0, expected, "")
    absolute = "".join(f"  {Path(path).resolve()}  \n" for path in pictures)
    assert translated(call, captions, absolute).out.splitlines() == expected
    assert translated(call, captions, "\ufeff" + "\r\n".join(pictures)).out.splitlines() == expected


def test_what_cannot_be_read_is_an_empty_line_and_one_warning(call: Call, captions: Path, pictures: list[str]) -> None:
    expected = seqcli.load(captions).translate(images=pictures[:2])
    lines = [pictures[0], "", "damaged.png", "nowhere.png", "a\x00b", ".", "   ", pictures[1]]
    ended = translated(call, captions, "".join(f"{line}\n" for line in lines))
    assert ended.code == 0
    assert ended.out.split("\n") == [expected[0], *[""] * 6, expected[1], ""]
    (warning,) = ended.err.splitlines()
    assert "4 images cannot be read, and are answered by an empty line (the first: damaged.png: the image" in warning
    assert translated(call, captions, "\n\n").err == ""
    scored = translated(call, captions, "damaged.png\n", "--scores")
    assert scored.out == "0.000000\t\n"


def test_a_question_after_a_tab(call: Call, questions: Path, pictures: list[str]) -> None:
    asked = ["what is the shape of the red object ?", "is it left ?"]
    expected = seqcli.load(questions).translate(asked, images=pictures[:2])
    ended = translated(
        call, questions, "".join(f"{path}\t{text}\n" for path, text in zip(pictures, asked, strict=False))
    )
    assert (ended.code, ended.out.splitlines(), ended.err) == (0, expected, "")


def test_a_question_without_an_image(call: Call, questions: Path, pictures: list[str]) -> None:
    ended = translated(call, questions, f"\tis it red ?\n\n{pictures[0]}\tis it red ?\nnowhere.png\tis it red ?\n")
    answers = ended.out.split("\n")
    assert (answers[:2], answers[3:]) == (["", ""], ["", ""])
    assert answers[2]
    assert "2 images cannot be read, and are answered by an empty line (the first: line 1: has no image)" in ended.err
    refused = translated(call, questions, f"{pictures[0]}\tis it red ?\n{pictures[0]}\n")
    assert refused.code == 3
    assert refused.err.strip().endswith(f"line 2: needs the path of an image, a tab, and a question: {pictures[0]}")


def test_scores_of_captions_and_answers(call: Call, captions: Path, questions: Path, pictures: list[str]) -> None:
    """Captions as the model writes them have the score that it reports; what cannot be seen has none, and is told apart from what is blank."""
    reported = translated(call, captions, "".join(f"{path}\n" for path in pictures), "--scores").out.splitlines()
    scores, texts = zip(*(line.split("\t") for line in reported), strict=True)
    lines = [f"{path}\t{text}" for path, text in zip(pictures, texts, strict=True)]
    Path("pairs.tsv").write_text("".join(f"{line}\n" for line in [*lines, "damaged.png\tred", "", "\tred"]))
    # six words were written and no end
    unfinished = [len(text.split()) == 6 for text in texts]
    for chosen, options in ((False, []), (True, ["--unfinished"])):
        ended = call("score", captions, "-i", "pairs.tsv", "--normalised", *options)
        found = ended.out.split("\n")
        assert found[4:] == ["", "", "", ""]
        for row, is_unfinished in enumerate(unfinished):
            if is_unfinished == chosen:
                assert float(found[row]) == pytest.approx(float(scores[row]), abs=1.1e-5)
        assert "1 images cannot be read, and have no score (the first: damaged.png: the image" in ended.err
        assert "blank sources have no score: 2 (the first is line 6)" in ended.err
    Path("sources").write_text("".join(f"{path}\n" for path in pictures))
    Path("targets").write_text("".join(f"{text}\n" for text in texts))
    by_files = call("score", captions, "sources", "targets", "--normalised", "--unfinished")
    assert by_files.out.split("\n")[:4] == found[:4]
    asked = f"{pictures[0]}\tis it red ?\tyes"
    Path("asked.tsv").write_text(f"{asked}\n\tis it red ?\tno\n")
    ended = call("score", questions, "-i", "asked.tsv")
    (expected,) = seqcli.load(questions).score(["is it red ?"], ["yes"], images=pictures[:1])
    assert expected is not None
    assert ended.out == f"{expected.log_prob:.6f}\n\n"
    assert "(the first: line 2: has no image)" in ended.err
    assert "blank" not in ended.err
    row = {"image": pictures[0], "question": "is it red ?", "target": "yes", "id": 3}
    Path("asked.jsonl").write_text(json.dumps(row))
    ended = call("score", questions, "-i", "asked.jsonl", "--json")
    assert json.loads(ended.out) == {**row, "log_prob": expected.log_prob, "score": expected.score}
    Path("asked.tsv").write_text(f"{pictures[0]}\tyes\n")
    ended = call("score", questions, "-i", "asked.tsv")
    assert ended.code == 3
    assert "line 1: needs the path of an image, a tab, and a question" in ended.err


def test_json(call: Call, captions: Path, questions: Path, pictures: list[str]) -> None:
    expected = seqcli.load(captions).translate(images=pictures[:1])[0]
    rows = [{"id": 7, "image": pictures[0]}, {"image": "damaged.png"}, {"image": ""}]
    ended = translated(call, captions, "".join(json.dumps(row) + "\n" for row in rows) + "\n", "--json")
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert [one["translation"] for one in found] == [expected, "", "", ""]
    assert (found[0]["id"], found[0]["image"], found[1]["image"]) == (7, pictures[0], "damaged.png")
    assert "1 images cannot be read" in ended.err

    asked = "is it red ?"
    (expected,) = seqcli.load(questions).translate([asked], images=pictures[:1])
    row = {"image": pictures[0], "question": asked, "rest": [1]}
    ended = translated(call, questions, json.dumps(row) + "\n", "--json", "--nbest", "2")
    (answer,) = (json.loads(line) for line in ended.out.splitlines())
    assert {key: answer[key] for key in row} == row
    assert len(answer["translations"]) == 2


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('{"question": "a"}', 'needs a JSON object with a text "image"'),
        ('{"image": "a.png"}', 'needs a JSON object with a text "question"'),
        ('{"image": 5, "question": "a"}', 'with a text "image"'),
        ('{"image": null, "question": "a"}', 'with a text "image"'),
        ('{"image": "\\ud800", "question": "a"}', "the image holds half a surrogate pair"),
        ("[]", 'needs a JSON object with a text "image"'),
        ("a.png", "is no JSON"),
    ],
)
def test_json_that_does_not_fit(call: Call, questions: Path, pictures: list[str], row: str, told: str) -> None:
    ended = translated(call, questions, row + "\n", "--json")
    assert ended.code == 3
    assert "line 1: " in ended.err
    assert told in ended.err
    assert len(ended.err.splitlines()) == 1


def test_training_tells_what_it_leaves_out(call: Call, recipe: Path, pictures: list[str], tmp_path: Path) -> None:
    rows = [{"image": path, "text": ["a b", "c"]} for path in (*pictures, "damaged.png", "nowhere.png")]
    Path("x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = (
        "data={kind: files, train: x.jsonl, validation: x.jsonl, columns: {image: image, source: null, target: text}}"
    )
    refused = call("train", recipe, data, "run=refused", "training.steps=1")
    assert refused.code == 3
    assert "damaged.png: the image cannot be read (" in refused.err
    assert refused.err.strip().endswith("; mend it, or let source.image.corrupt_limit leave out more than 0")
    assert not Path("refused").exists()

    one_more = call("train", recipe, data, "run=refused", "training.steps=1", "source.image.corrupt_limit=1")
    assert one_more.code == 3
    assert "nowhere.png: the image cannot be read (there is no such file) and 1 more; mend it" in one_more.err

    options = (recipe, data, "run=run", "training.steps=1", "source.image.corrupt_limit=2")
    told = [line for line in call("train", *options).err.splitlines() if "cannot be read" in line]
    assert len(told) == 2
    assert "4 training examples are left out, since 2 images cannot be read (damaged.png: the image" in told[0]
    assert told[0].endswith("; nowhere.png: the image cannot be read (there is no such file))")
    assert "2 validation examples are left out, since 2 images cannot be read" in told[1]

    summary = call("train", *options, "--dry-run").out
    (row,) = [line.split() for line in summary.splitlines() if "image unreadable" in line]
    assert row[-2:] == ["4", "2"]


def test_not_all_images_are_in_memory_at_once(
    call: Call, captions: Path, pictures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqcli.cli.translate.WINDOW_IMAGES", 3)
    sizes = []
    seen = Translator.seen

    def counted(self: Translator, examples: Any) -> Any:
        sizes.append(len(examples))
        return seen(self, examples)

    monkeypatch.setattr(Translator, "seen", counted)
    expected = seqcli.load(captions).translate(images=pictures)
    ended = translated(call, captions, "".join(f"{path}\n" for path in pictures * 2))
    assert ended.out.splitlines() == expected * 2
    assert (sum(sizes), max(sizes)) == (8, 3)


def test_evaluation_leaves_none_out(call: Call, captions: Path, pictures: list[str]) -> None:
    for names, code in ((pictures, 0), ([*pictures, "damaged.png"], 3)):
        Path("x.jsonl").write_text(
            "".join(json.dumps({"image": path, "text": "a red circle"}) + "\n" for path in names)
        )
        data = "data={kind: files, train: x.jsonl, test: x.jsonl, columns: {image: image, source: null, target: text}}"
        ended = call("eval", captions, data, "--metrics", "exact_match,loss", "--json")
        assert ended.code == code
    assert "damaged.png: the image cannot be read" in ended.err
    assert ended.out == ""


def test_texts_have_no_row_about_images(call: Call) -> None:
    assert "image" not in call("train", "copy", "--dry-run", "data.examples=100", "run=nowhere").out


def looked_at(call: Call, run: Path, *options: str) -> Any:
    return call("visualize", "attention", run, *options)


def test_what_was_looked_at_is_drawn_and_written(call: Call, captions: Path, pictures: list[str]) -> None:
    ended = looked_at(
        call, captions, "--image", pictures[0], "--image", pictures[1], "-o", "look.png", "--arrays", "look.npz"
    )
    assert ended.code == 0
    assert [Path(name).exists() for name in ("look-1.png", "look-2.png", "look-1.npz", "look-2.npz")] == [True] * 4
    shown = seqcli.load(captions).attention(images=pictures[:1])[0]
    arrays = np.load("look-1.npz")
    words = len(shown.target)
    assert arrays["cross"].shape == (1, 1, words, 4, 4)
    np.testing.assert_allclose(arrays["cross"].sum(axis=(-2, -1)), 1, atol=1e-5)
    np.testing.assert_array_equal(arrays["cross"], shown.cells)
    assert (arrays["image"].shape, arrays["target"].tolist()) == ((16, 16, 3), list(shown.target))
    assert "text" not in arrays


def test_a_frame_a_word(call: Call, captions: Path, pictures: list[str]) -> None:
    assert looked_at(call, captions, "--image", pictures[0], "-o", "look.gif").code == 0
    words = seqcli.load(captions).attention(images=pictures[:1])[0].target
    with pillow.open("look.gif") as animation:
        assert animation.n_frames == len(words)  # type: ignore[attr-defined]


def test_a_question_and_an_image_are_looked_at_together(call: Call, questions: Path, pictures: list[str]) -> None:
    asked = ["--image", pictures[0], "--text", "is the red object on the left ?"]
    assert looked_at(call, questions, *asked, "-o", "look.svg", "--arrays", "look.npz").code == 0
    assert Path("look.svg").read_text(encoding="utf-8").count("<path") > 50
    arrays = np.load("look.npz")
    assert arrays["source"].tolist()[-1] == "</s>"
    together = arrays["cross"].sum(axis=(-2, -1)) + arrays["text"].sum(axis=-1)
    np.testing.assert_allclose(together, 1, atol=1e-5)
    for options in (["--sheet"], ["--words", "--dark"]):
        assert looked_at(call, questions, *asked, *options, "-o", "other.png").code == 0
        assert Path("other.png").stat().st_size > 5_000
    alone = looked_at(call, questions, "--image", pictures[0], "-o", "alone.png")
    assert (alone.code, "texts: one for each source" in alone.err) == (3, True)


def test_examples_of_a_split(call: Call, captions: Path, pictures: list[str]) -> None:
    ended = looked_at(call, captions, "-e", "1", "-e", "2", "--split", "validation", "-o", "look.pdf")
    assert (ended.code, Path("look.pdf").exists()) == (0, True)
    (first,) = seqcli.load(captions).attention_of("validation", [1])
    assert first.image is not None
    beyond = looked_at(call, captions, "-e", "1000000", "-o", "none.png")
    assert (beyond.code, "has no example 1000000" in beyond.err) == (3, True)
    unknown = looked_at(call, captions, "-e", "1", "--split", "dev", "-o", "none.png")
    assert (unknown.code, "there are train, validation and test" in unknown.err) == (2, True)
    damaged = looked_at(call, captions, "--image", "damaged.png", "-o", "none.png")
    assert (damaged.code, "damaged.png: the image cannot be read" in damaged.err) == (3, True)
    assert not Path("none.png").exists()


TRANSFORMER = (
    "model.encoder={kind: patch, patch_size: 8, hidden_size: 16, layers: 1, heads: 2, feedforward_size: 16}",
    "model.decoder={kind: transformer, hidden_size: 16, layers: 2, heads: 2, feedforward_size: 16}",
)


@pytest.mark.parametrize(
    ("more", "files"),
    [
        ((), ["map.png"]),
        (("--sheet",), ["map.png"]),
        (("--kind", "encoder", "--kind", "decoder"), ["map.png"]),
        (("--sheet", "--words", "--kind", "encoder", "--kind", "cross"), ["map-1.png", "map-2.png"]),
        (("--against", "RUN"), ["map-1.png", "map-2.png"]),
    ],
    ids=" ".join,
)
def test_all_kinds_of_attention_of_an_image(
    call: Call, looking: Path, pictures: list[str], more: tuple[str, ...], files: list[str]
) -> None:
    arguments = [str(looking) if each == "RUN" else each for each in more]
    ended = call("visualize", "attention", looking, "--image", pictures[0], "-o", "out/map.png", *arguments)
    assert ended.code == 0, ended.err
    assert sorted(path.name for path in Path("out").iterdir()) == files


def test_a_page_of_an_image(call: Call, looking: Path, pictures: list[str]) -> None:
    assert call("visualize", "attention", looking, "--image", pictures[0], "-o", "map.html").code == 0
    page = Path("map.html").read_text(encoding="utf-8")
    assert '"grid":[2,2]' in page
    assert "data:image/png;base64," in page


def test_heads_that_look_at_images(call: Call, looking: Path, pictures: list[str]) -> None:
    found = json.loads(call("visualize", "heads", looking, "--examples", "3", "--json").out)
    assert [(one["kind"], one["layer"], one["head"]) for one in found] == [
        ("encoder", 1, 1),
        ("encoder", 1, 2),
        *((kind, layer, head) for kind in ("decoder", "cross") for layer in (1, 2) for head in (1, 2)),
    ]
    assert [one["distance"] is None for one in found] == [one["kind"] == "cross" for one in found]
    assert all(one["removal"] is not None for one in found)


@pytest.fixture(scope="module")
def looking(recipe: Path, tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """A Transformer over patches, with 2 × 2 cells."""
    folder = tmp_path_factory.mktemp("runs") / "looking"
    list(prepare(load_recipe(str(recipe), [*TRANSFORMER, "training.steps=3"]), folder).train())
    return folder
