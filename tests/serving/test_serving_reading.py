"""Bodies that nobody would think of: each is read, or refused with a sentence, and nothing else ever happens."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.evaluation.attention import AttentionMaps
from seqcli.evaluation.reader import SearchSettings
from seqcli.symbols import Example

pytest.importorskip("starlette", reason="the extra serve is not installed")

from seqcli.data.tasks import Tagging  # noqa: E402
from seqcli.serving.engine import Found  # noqa: E402
from seqcli.serving.fields import translate_fields  # noqa: E402
from seqcli.serving.limits import Limits  # noqa: E402
from seqcli.serving.reading import RequestReader, Wanted, content_type, parse_json  # noqa: E402
from seqcli.serving.refusal import Refusal  # noqa: E402

LIMITS = Limits(sources=3, characters=20)


class Silent:
    """An engine that is never asked."""

    name = about = ""
    tagging = Tagging(";")

    def __init__(self, *, texts: bool, images: bool) -> None:
        self.reads_texts, self.reads_images = texts, images

    def settings(self) -> SearchSettings:
        raise AssertionError

    def seen(self, examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
        raise AssertionError

    def translate(self, examples: Sequence[Example], settings: SearchSettings) -> list[Found]:
        raise AssertionError

    def attention(self, example: Example, settings: SearchSettings) -> AttentionMaps:
        raise AssertionError


READERS = {
    name: RequestReader(
        Silent(texts=texts, images=images), LIMITS, translate_fields(LIMITS), several=True, characters=20
    )
    for name, texts, images in (("texts", True, False), ("images", False, True), ("both", True, True))
}
NAMES = st.sampled_from(
    ["source", "sources", "question", "image", "features", "nbest", "beam_size", "length_penalty", "scores", "else"]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.binary(max_size=9).map(lambda content: base64.b64encode(content).decode()),
)
ANYTHING = st.recursive(
    LEAVES, lambda below: st.lists(below, max_size=4) | st.dictionaries(NAMES, below, max_size=4), max_leaves=12
)


def refused_or_read(read: Callable[[], Wanted]) -> Wanted | None:
    refusal = None
    try:
        wanted = read()
    except Refusal as error:
        refusal = error
    if refusal is not None:
        assert 400 <= refusal.status < 500
        assert len(str(refusal)) < 300
        return None
    assert 1 <= len(wanted.examples) <= LIMITS.sources
    for example in wanted.examples:
        assert len(example.source) <= LIMITS.characters
        assert example.image is None or isinstance(example.image, bytes)
        assert all(isinstance(tag, str) for tag in example.features)
    assert 1 <= wanted.options.get("nbest", 1) <= LIMITS.beam_size
    assert isinstance(wanted.options.get("length_penalty", 0.0), float)
    return wanted


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes(reader: str, body: bytes) -> None:
    refused_or_read(lambda: READERS[reader].from_json(body))


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=400, deadline=None)
@given(value=st.dictionaries(NAMES, ANYTHING, max_size=5) | ANYTHING)
def test_any_json(reader: str, value: Any) -> None:
    refused_or_read(lambda: READERS[reader].from_json(json.dumps(value).encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=300, deadline=None)
@given(
    texts=st.dictionaries(NAMES, st.lists(st.text(max_size=30), min_size=1, max_size=4), max_size=4),
    files=st.dictionaries(NAMES, st.lists(st.binary(max_size=9), min_size=1, max_size=4), max_size=2),
)
def test_any_form(reader: str, texts: dict[str, list[str]], files: dict[str, list[bytes]]) -> None:
    refused_or_read(lambda: READERS[reader].from_form(texts, files))


@settings(max_examples=300, deadline=None)
@given(query=st.lists(st.tuples(NAMES, st.text(max_size=30)), max_size=4), body=st.binary(max_size=9))
def test_any_address(query: list[tuple[str, str]], body: bytes) -> None:
    refused_or_read(lambda: READERS["both"].from_image(query, body))


def test_what_is_good_is_read() -> None:
    """So that the tests above do not pass because all is refused."""
    given = {"sources": [{"source": "a", "features": ["V", "N"]}, "b"], "nbest": 2, "length_penalty": 1}
    wanted = refused_or_read(lambda: READERS["texts"].from_json(json.dumps(given).encode()))
    assert wanted is not None
    assert [(one.source, one.features) for one in wanted.examples] == [("a", ("V", "N")), ("b", ())]
    assert (wanted.single, wanted.options) == (False, {"nbest": 2, "length_penalty": 1.0})
    wanted = refused_or_read(
        lambda: READERS["both"].from_form({"question": ["a"], "scores": ["true"]}, {"image": [b"1", b"2"]})
    )
    assert wanted is not None
    assert [(one.source, one.image) for one in wanted.examples] == [("a", b"1"), ("a", b"2")]
    assert wanted.options == {"scores": True}
    wanted = refused_or_read(lambda: READERS["both"].from_image([("question", "a"), ("nbest", "3")], b"1"))
    assert wanted is not None
    assert (wanted.examples[0].source, wanted.options) == ("a", {"nbest": 3})


@given(st.text(max_size=60))
def test_any_content_type(header: str) -> None:
    media, parameters = content_type(header)
    assert media == media.strip().lower()
    assert all(isinstance(value, str) for value in parameters.values())


@given(
    st.dictionaries(st.text(max_size=5), st.integers(-(10**9), 10**9) | st.text(max_size=5) | st.booleans(), max_size=4)
)
def test_json_is_read_as_python_reads_it(value: dict[str, Any]) -> None:
    text = json.dumps(value)
    assert parse_json(text.encode()) == json.loads(text)
    assert parse_json(b"\xef\xbb\xbf" + text.encode()) == value


class WithTasks(Silent):
    """One that has learnt tasks, one of which has feature tags."""

    tagging = Tagging(tasks={"fre": None, "inflection": ";"})


TASKS = RequestReader(
    WithTasks(texts=True, images=False), LIMITS, translate_fields(LIMITS), several=True, characters=20
)


def test_a_source_says_its_task() -> None:
    def read(fields: dict[str, Any]) -> list[tuple[str, ...]]:
        return [example.features for example in TASKS.from_json(json.dumps(fields).encode()).examples]

    assert read({"source": "a", "task": "fre"}) == [("<fre>",)]
    assert read({"source": "a", "task": "fre", "features": ""}) == [("<fre>",)]
    sources = [{"source": "a", "task": "inflection", "features": "V;PST"}, {"source": "b", "task": "fre"}]
    assert read({"sources": sources}) == [("<inflection>", "V", "PST"), ("<fre>",)]
    assert TASKS.from_form({"source": ["a"], "task": ["fre"]}, {}).examples[0].features == ("<fre>",)
    for fields, told in (
        ({"source": "a"}, "task is missing; there are fre, inflection"),
        ({"source": "a", "task": "kor"}, "task must be one of fre, inflection"),
        ({"source": "a", "task": ["fre"]}, "task must be one of fre, inflection"),
        ({"sources": ["a"]}, "sources[0] must be an object with source, task, features"),
        ({"sources": [{"source": "a"}]}, "sources[0].task is missing; there are fre, inflection"),
        ({"source": "a", "task": "fre", "features": "V"}, "features are given, but sources of the task fre have none"),
    ):
        with pytest.raises(Refusal) as refused:
            read(fields)
        assert str(refused.value) == told
