"""The application around an engine that is made up: what becomes of its answers, and of its failures."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest

from seqcli.errors import SeqcliError
from seqcli.evaluation.attention import AttentionMaps
from seqcli.evaluation.reader import SearchSettings, Translation
from seqcli.symbols import Example

pytest.importorskip("starlette", reason="the extra serve is not installed")

from seqcli.data.tasks import Tagging  # noqa: E402
from seqcli.serving.app import make_app  # noqa: E402
from seqcli.serving.description import ANSWER  # noqa: E402
from seqcli.serving.doors import Doors  # noqa: E402
from seqcli.serving.engine import Found  # noqa: E402
from seqcli.serving.guard import Guard  # noqa: E402
from seqcli.serving.limits import Limits  # noqa: E402
from seqcli.serving.metrics import Metrics  # noqa: E402
from seqcli.serving.service import Service  # noqa: E402

HEADERS = [(b"host", b"localhost"), (b"content-type", b"application/json")]


class Echo:
    """Answers with the source, its tags and the search; some words of a source make it fail, or slow."""

    name, about = "echo", "made up"
    reads_texts, reads_images = True, False
    tagging = Tagging(";")

    def settings(self) -> SearchSettings:
        return SearchSettings(2, 1.0, 10, None, 32)

    def seen(self, examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
        return list(examples), []

    def translate(self, examples: Sequence[Example], settings: SearchSettings) -> list[Found]:
        return [self._found(example, settings) for example in examples]

    def _found(self, example: Example, settings: SearchSettings) -> Found:
        match example.source:
            case "fail":
                raise RuntimeError("a secret")
            case "memory":
                raise MemoryError
            case "user":
                raise SeqcliError("it cannot be")
            case "slow":
                time.sleep(0.5)
        text = f"{example.source}|{'+'.join(example.features)}|{settings.beam_size}|{settings.length_penalty:g}"
        score = math.nan if example.source == "nan" else -0.5
        found = [Translation(text, score, score, (5, 2))] * settings.beam_size
        return Found([] if example.source == "nothing" else found, example.source == "long")

    def attention(self, example: Example, settings: SearchSettings) -> AttentionMaps:
        if example.source == "huge":
            weights = np.zeros((1, 1, 2000, 2000), dtype=np.float32)
            names, words = ("a",) * 2000, ((0, 2000),)
        else:
            weights, names, words = np.ones((1, 1, 1, 1), dtype=np.float32), ("a",), ((0, 1),)
        return AttentionMaps(names, names, weights, None, None, words, words)


async def _ask(app: Guard, path: str, body: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    told: list[dict[str, Any]] = []
    sent = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if sent:
            return sent.pop()
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        told.append(dict(message))

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return told[0]["status"], b"".join(message.get("body", b"") for message in told[1:])


class Asked:
    """An application, and what it answers."""

    def __init__(self, limits: Limits) -> None:
        self.service = Service(Echo(), limits, Metrics())
        self.app = make_app(self.service, Doors())

    def __call__(self, path: str = "/translate", **fields: Any) -> tuple[int, Any]:
        status, body = asyncio.run(_ask(self.app, path, json.dumps(fields).encode(), HEADERS))
        return status, json.loads(body)


@pytest.fixture
def asked() -> Iterator[Asked]:
    one = Asked(replace(Limits(), answering=0.2))
    yield one
    one.service.close(5)


def test_tags_and_options_reach_the_engine(asked: Asked) -> None:
    assert asked(source="a") == (200, {"translation": "a||2|1"})
    assert asked(source="a", features=["V", "PST"], beam_size=3) == (200, {"translation": "a|V+PST|3|1"})
    assert asked(source="a", features="V; PST", length_penalty=0.5) == (200, {"translation": "a|V+PST|2|0.5"})
    status, answer = asked(source="a", nbest=4)
    assert answer["translations"] == [{"text": "a||4|1"}] * 4  # the beam holds what is to be given
    assert asked(source="a", nbest=2, beam_size=3)[1]["translation"] == "a||3|1"
    assert asked(source="a", features=[1])[0] == 422
    assert asked(source="a", features=["V"] * 100)[0] == 413


def test_what_was_cut_what_is_no_number_and_nothing(asked: Asked) -> None:
    assert asked(source="long")[1]["cut"] is True
    answer = asked(source="nan", scores=True)[1]
    assert answer == {"translation": "nan||2|1", "score": None, "log_prob": None}
    # and so it is described
    answer |= {"translations": asked(source="nan", scores=True, nbest=2)[1]["translations"]}
    jsonschema.validate(answer, ANSWER)
    assert asked(source="nothing", nbest=2) == (200, {"translation": "", "translations": []})


def test_failures_are_told_apart(asked: Asked, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL):
        assert asked(source="user") == (422, {"error": "it cannot be"})
        assert asked(source="memory")[0] == 503
    with caplog.at_level(logging.ERROR):
        status, answer = asked(source="fail")
    assert status == 500
    assert "secret" not in json.dumps(answer)
    assert "a secret" in caplog.text  # in the log, with its traceback
    assert asked(source="slow")[0] == 504
    time.sleep(0.5)
    assert asked(source="a")[0] == 200


def test_a_failure_fails_no_other_request(asked: Asked) -> None:
    async def together() -> list[int]:
        bodies = [json.dumps({"source": source}).encode() for source in ("a", "fail", "b", "user", "c")]
        return [
            status for status, _ in await asyncio.gather(*(_ask(asked.app, "/translate", b, HEADERS) for b in bodies))
        ]

    assert asyncio.run(together()) == [200, 500, 200, 422, 200]


def test_too_many_weights_are_not_sent(asked: Asked) -> None:
    assert asked("/attention", source="a")[0] == 200
    status, answer = asked("/attention", source="huge")
    assert (status, "4,000,000 weights" in answer["error"]) == (413, True)


def test_after_the_end_nothing_is_taken(asked: Asked) -> None:
    asked.service.close(5)
    assert asked(source="a")[0] == 503
