"""What a server answers to good requests: texts, attention, its own state, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from served import Served, serving
from test_serve_malformed import part, post

from seqcli.run import load


def test_one_source_and_several(served: Served, copy_run: Path) -> None:
    run = load(copy_run)
    texts = ["abcd", "", "dcba", "bb", "aaaaa"]
    expected = [{"translation": text} for text in run.translate(texts)]
    assert served.post("/translate", {"source": "abcd"}) == (200, expected[0])
    assert served.post("/translate", {"sources": texts}) == (200, {"results": expected})
    assert served.post("/translate", {"sources": [{"source": text} for text in texts]}) == (200, {"results": expected})


def test_hypotheses_and_scores_are_those_of_the_run(served: Served, copy_run: Path) -> None:
    run = load(copy_run)
    found = run.hypotheses(run.examples(["abcda"]), run.settings(4))[0]
    status, answer = served.post("/translate", {"source": "abcda", "nbest": 4, "scores": True})
    assert status == 200
    assert answer["translation"] == found[0].text
    assert [one["text"] for one in answer["translations"]] == [one.text for one in found]
    assert [one["score"] for one in answer["translations"]] == pytest.approx([one.score for one in found], abs=1e-5)
    assert [one["log_prob"] for one in answer["translations"]] == pytest.approx(
        [one.log_prob for one in found], abs=1e-5
    )
    status, flat = served.post("/translate", {"source": "abcda", "nbest": 2, "scores": True, "length_penalty": 0})
    assert flat["translations"][0]["score"] == pytest.approx(flat["translations"][0]["log_prob"])


def test_a_form_is_read_like_json(served: Served) -> None:
    fields = part("source", b"abcd") + part("nbest", b"2") + part("scores", b"true")
    status, _, body = served.ask(
        "POST", "/translate", fields + b"--X--\r\n", Content_Type="multipart/form-data; boundary=X"
    )
    assert status == 200
    assert json.loads(body) == served.post("/translate", {"source": "abcd", "nbest": 2, "scores": True})[1]
    several = part("source", b"abcd") + part("source", b"bb")
    status, _, body = served.ask(
        "POST", "/translate", several + b"--X--\r\n", Content_Type="multipart/form-data; boundary=X"
    )
    assert json.loads(body) == {"results": [{"translation": "abcd"}, {"translation": "bb"}]}


def test_requests_on_one_connection_in_chunks_and_in_a_row(served: Served) -> None:
    head = b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n4\r\n{" + b'"so\r\n' + b'e\r\nurce": "abcd"}\r\n0\r\n\r\n'
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(chunked + 3 * post(b'{"source": "dcba"}'))
        got = b""
        while got.count(b"}") < 4:
            got += connection.recv(65536)
    assert got.count(b"HTTP/1.1 200") == 4
    assert got.count(b'{"translation":"dcba"}') == 3


def test_attention_is_that_of_the_run(served: Served, copy_run: Path) -> None:
    (maps,) = load(copy_run).attention(["abcd"])
    status, answer = served.post("/attention", {"source": "abcd"})
    assert status == 200
    assert (answer["source"], answer["target"]) == (list(maps.source), list(maps.target))
    (cross,) = answer["kinds"]
    assert (cross["rows"], cross["columns"]) == (list(maps.target), list(maps.source))
    np.testing.assert_allclose(cross["weights"], maps.cross, atol=1e-4)
    status, other = served.post("/attention", {"source": "abcd", "target": "dd"})
    assert other["target"] == ["d", "d", "</s>"]
    status, words = served.post("/attention", {"source": "abcd", "words": True})
    assert len(words["kinds"][0]["columns"]) < len(maps.source)
    np.testing.assert_allclose(np.sum(words["kinds"][0]["weights"], axis=-1), 1, atol=1e-3)


def test_its_state_its_counts_and_its_description(served: Served, copy_run: Path) -> None:
    status, headers, body = served.ask("GET", "/health")
    about = json.loads(body)
    assert (status, about["status"], about["run"], about["reads"]) == (200, "ok", "copy", ["texts"])
    assert str(copy_run.parent) not in body.decode()
    assert headers["x-content-type-options"] == "nosniff"
    status, headers, body = served.ask("GET", "/metrics")
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"seqcli_batch_sources_bucket" in body
    status, _, body = served.ask("GET", "/openapi.json")
    described = json.loads(body)
    schema = described["paths"]["/translate"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    check = jsonschema.Draft202012Validator(schema)
    for good in ({"source": "a", "nbest": 2}, {"sources": ["a", {"source": "b"}], "scores": True}):
        assert check.is_valid(good)
        assert served.post("/translate", good)[0] == 200
    for bad in ({}, {"source": 5}, {"source": "a", "nbest": 0}, {"sources": []}, {"source": "a", "sauce": "b"}):
        assert not check.is_valid(bad)
        assert served.post("/translate", bad)[0] == 422


def test_a_full_queue_and_a_time_out(copy_run: Path, tmp_path: Path) -> None:
    """Greedy requests fill a queue of 4 whose server has a tenth of a second for each."""
    with serving(copy_run, tmp_path / "log", "--queue", "4", "--batch", "1", "--timeout", "0.1") as server:
        found: list[tuple[int, dict[str, str]]] = []

        def ask() -> None:
            body = json.dumps({"sources": ["abcda"] * 4, "beam_size": 32, "nbest": 32}).encode()
            for _ in range(4):
                status, headers, _ = server.ask("POST", "/translate", body, Content_Type="application/json")
                found.append((status, headers))

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = {status for status, _ in found}
        assert {429} <= statuses <= {200, 429, 504}
        assert all(1 <= int(headers["retry-after"]) <= 60 for status, headers in found if status == 429)
        assert server.post("/translate", {"source": "abcd"})[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_ends_when_it_has_answered(copy_run: Path, tmp_path: Path, number: signal.Signals) -> None:
    with serving(copy_run, tmp_path / "log") as server:
        found = []
        # so much that it is under way when the signal comes
        body = {"sources": ["abcda"] * 128, "beam_size": 32, "nbest": 32}
        thread = threading.Thread(target=lambda: found.append(server.post("/translate", body)))
        idle = socket.create_connection(("127.0.0.1", server.port))
        thread.start()
        while "seqcli_queue_sources 0\n" in server.ask("GET", "/metrics")[2].decode() and not found:
            time.sleep(0.001)
        assert server.stop(number) == 0
        thread.join(10)
        ((status, answer),) = found
        assert status == 200
        assert len(answer["results"]) == 128
        idle.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
        said = server.log.read_text()
        assert "finishing" in said
        assert "ended after" in said


def test_a_page_of_an_origin_that_was_let_in(copy_run: Path, tmp_path: Path) -> None:
    origin = "https://example.org"
    options = ("--allow-origin", origin, "--allow-host", "translate.example.org")
    with serving(copy_run, tmp_path / "log", *options) as server:
        status, headers, _ = server.ask(
            "OPTIONS", "/translate", Origin=origin, Access_Control_Request_Method="POST", Host="translate.example.org"
        )
        assert status == 204
        assert headers["access-control-allow-origin"] == origin
        assert "Content-Type" in headers["access-control-allow-headers"]
        body = b'{"source": "abcd"}'
        status, headers, _ = server.ask("POST", "/translate", body, Origin=origin, Content_Type="application/json")
        assert (status, headers["access-control-allow-origin"]) == (200, origin)
        assert server.ask("POST", "/translate", body, Origin="https://other.example")[0] == 403
