"""Images over HTTP: as JSON, as a form, as they are; what is answered, what is drawn, and what is never read."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from served import Served
from test_serve_malformed import part

from seqcli.errors import SeqcliError
from seqcli.run import load
from seqcli.serving.overlay import draw_overlay

FORM = "multipart/form-data; boundary=X"


def png(width: int = 24, height: int = 16, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(stream, "PNG")
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG of a few kilobytes that says that it has 10,000 × 10,000 pixels, and has them."""
    stream = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(stream, "PNG")
    return stream.getvalue()


def text_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_an_image_in_each_of_its_forms(captions: Served, captions_run: Path) -> None:
    (expected,) = load(captions_run).translate(images=[png()])
    assert captions.post("/translate", {"image": text_of(png())}) == (200, {"translation": expected})
    address = f"data:image/png;base64,{text_of(png())}"
    assert captions.post("/translate", {"image": address}) == (200, {"translation": expected})
    status, _, body = captions.ask("POST", "/translate", png(), Content_Type="image/png")
    assert (status, json.loads(body)) == (200, {"translation": expected})
    form = part("image", png(), file="a.png") + b"--X--\r\n"
    status, _, body = captions.ask("POST", "/translate", form, Content_Type=FORM)
    assert (status, json.loads(body)) == (200, {"translation": expected})
    status, _, body = captions.ask("POST", "/translate?nbest=3&scores=true", png(), Content_Type="image/png")
    assert len(json.loads(body)["translations"]) == 3
    status, answer = captions.post(
        "/translate", {"sources": [{"image": text_of(png())}, {"image": text_of(png(9, 9))}]}
    )
    assert len(answer["results"]) == 2
    several = part("image", png(), file="a.png") + part("image", png(9, 9), file="b.png") + b"--X--\r\n"
    status, _, body = captions.ask("POST", "/translate", several, Content_Type=FORM)
    assert json.loads(body) == answer


def test_questions(questions: Served, questions_run: Path) -> None:
    asked = ["what is the shape of the red object ?", "what is it ?"]
    expected = load(questions_run).translate(asked, images=[png(), png()])
    for question, text in zip(asked, expected, strict=True):
        given = {"image": text_of(png()), "question": question}
        assert questions.post("/translate", given) == (200, {"translation": text})
    form = part("image", png(), file="a.png") + b"".join(part("question", each.encode()) for each in asked)
    status, _, body = questions.ask("POST", "/translate", form + b"--X--\r\n", Content_Type=FORM)
    assert (status, json.loads(body)) == (200, {"results": [{"translation": text} for text in expected]})
    status, _, body = questions.ask("POST", "/translate?question=what+is+it+%3F", png(), Content_Type="image/png")
    assert (status, json.loads(body)) == (200, {"translation": expected[1]})
    assert questions.post("/translate", {"image": text_of(png())})[0] == 422


def test_attention_over_an_image(captions: Served, captions_run: Path) -> None:
    (maps,) = load(captions_run).attention(images=[png()], targets=["a red star"])
    given = {"image": text_of(png()), "target": "a red star", "picture": True}
    status, answer = captions.post("/attention", given)
    assert status == 200
    cross = answer["kinds"][-1]
    assert maps.cells is not None
    assert cross["grid"] == list(maps.cells.shape[-2:])
    np.testing.assert_allclose(np.reshape(cross["weights"], maps.cells.shape), maps.cells, atol=1e-4)
    seen = Image.open(io.BytesIO(base64.b64decode(answer["picture"].partition(",")[2])))
    assert seen.size == (24, 16)


@pytest.mark.parametrize(("figure", "kind"), [("panels", "PNG"), ("sheet", "PNG"), ("animation", "GIF")])
def test_overlays(captions: Served, figure: str, kind: str) -> None:
    form = part("image", png(), file="a.png") + part("figure", figure.encode()) + part("target", b"a red star")
    status, headers, body = captions.ask("POST", "/overlay", form + b"--X--\r\n", Content_Type=FORM)
    assert status == 200, body
    drawn = Image.open(io.BytesIO(body))
    assert (drawn.format, headers["content-type"]) == (kind, f"image/{kind.lower()}")
    assert drawn.width > 100
    assert getattr(drawn, "n_frames", 1) == (4 if kind == "GIF" else 1)
    dark = part("image", png(), file="a.png") + part("dark", b"true") + part("target", b"a red star")
    corner = Image.open(io.BytesIO(captions.ask("POST", "/overlay", dark + b"--X--\r\n", Content_Type=FORM)[2]))
    assert corner.convert("L").getpixel((0, 0)) < 60  # type: ignore[operator]


@pytest.mark.parametrize("figure", ["panels", "sheet", "animation"])
def test_what_is_drawn_without_matplotlib_is_an_error_that_can_be_told(
    captions_run: Path, figure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (maps,) = load(captions_run).attention(images=[png()], targets=["a red star"])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SeqcliError) as raised:  # whose text is the answer to the request
        draw_overlay(maps, figure=figure, words=False, dark=False)
    assert (
        str(raised.value)
        == "a picture needs matplotlib, which is not installed; in the folder of seqcli: pip install '.[plots]'"
    )


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.png"
    path.write_bytes(png())
    return path


def test_no_file_is_read_because_of_a_request(captions: Served, secret: Path) -> None:
    for name in (str(secret), f"file://{secret}", "secret.png", f"data:,{secret}", "http://127.0.0.1:1/a.png"):
        status, answer = captions.post("/translate", {"image": name})
        assert status == 422
        assert "paths and addresses are not read" in answer["error"]
    # that a path may be base64 by chance opens no file either
    assert captions.post("/translate", {"image": "abcd"})[0] == 422
    form = part("image", str(secret).encode()) + b"--X--\r\n"
    assert captions.ask("POST", "/translate", form, Content_Type=FORM)[0] == 422
    assert captions.ask("POST", "/translate", str(secret).encode(), Content_Type="image/png")[0] == 422
    assert captions.ask("POST", f"/translate?image={secret}", png(), Content_Type="image/png")[0] == 422


BAD = {
    "nothing": (b"", 422),
    "no image": (b"hello" * 10, 422),
    "a PNG's beginning": (png()[:60], 422),
    "a PNG with a flipped byte": (png()[:50] + bytes([png()[50] ^ 255]) + png()[51:], 422),
    "an SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', 422),
    "a PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 422),
    "a PDF": (b"%PDF-1.7\n", 422),
    "too many pixels": (bomb(), 413),
    "too many bytes": (b"\x89PNG" + b"\x00" * 400_000, 413),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_good_image_is_refused(captions: Served, name: str) -> None:
    content, expected = BAD[name]
    assert captions.ask("POST", "/translate", content, Content_Type="image/png")[0] == expected
    form = part("image", content, file="a.png") + b"--X--\r\n"
    assert captions.ask("POST", "/attention", form, Content_Type=FORM)[0] == expected
    assert captions.post("/overlay", {"image": text_of(content)})[0] == expected
    assert captions.ask("POST", "/translate", png(), Content_Type="image/png")[0] == 200


def test_fields_of_images_are_checked(captions: Served) -> None:
    good = text_of(png())
    for fields in (
        {},
        {"image": None},
        {"image": 5},
        {"image": ["a"]},
        {"image": good, "question": "what ?"},
        {"source": "abcd"},
        {"sources": ["abcd"]},
        {"sources": [{"image": good, "extra": 1}]},
    ):
        assert captions.post("/translate", fields)[0] == 422, fields
    assert captions.post("/overlay", {"image": good, "figure": "film"})[0] == 422
    assert captions.post("/overlay", {"image": good, "target": "a " * 150})[0] == 413
    assert captions.ask("POST", "/translate?nbest=x", png(), Content_Type="image/png")[0] == 422
    assert captions.ask("POST", "/translate?nbest=1&nbest=2", png(), Content_Type="image/png")[0] == 422
    assert captions.ask("POST", "/translate?target=%ff", png(), Content_Type="image/png")[0] in (400, 422)
