"""`seqcli translate`: a filter that keeps count and order, whatever comes in."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import seqcli

ODD = (
    b"",
    b"   ",
    b"\t",
    b"ab\rcd",
    b"ab\r",
    "ab\u2028cd".encode(),
    "ab\u0085cd\x0b\x0c\x1c".encode(),
    b"a\x00b",
    "😀👩‍👩‍👧".encode(),
    "e\u0301\u0323\u0327".encode(),
    "\ufeffab".encode(),
    "שלום".encode(),
    b"a\xff\xfeb",
    b"\xc3",
    b"\x1b[31mab",
)


def lines_of(count: int) -> list[bytes]:
    """Strings that the model copies without fault, with odd lines among them."""
    draw = random.Random(5)
    letters = ["".join(draw.choices("abcd", k=draw.randint(1, 5))).encode() for _ in range(count)]
    return [draw.choice(ODD) if draw.random() < 0.3 else line for line in letters]


def check(given: list[bytes], out: bytes, copy_run: Path) -> None:
    """One line for each, in order: letters are answered as each of them is alone, blank stays blank."""
    known = sorted({line.decode() for line in given if line and not line.strip(b"abcd")})
    expected = dict(zip(known, seqcli.load(copy_run).translate(known), strict=True))
    assert sum(text == answer for text, answer in expected.items()) > 0.9 * len(known)
    answers = out.split(b"\n")
    assert answers.pop() == b""
    assert len(answers) == len(given)
    letters = blank = 0
    for line, answer in zip(given, answers, strict=True):
        if line and not line.strip(b"abcd"):
            assert answer.decode() == expected[line.decode()]
            letters += 1
        elif not line.strip():
            assert answer == b""
            blank += 1
        assert not answer.strip(b"abcd"), "nothing but what the model writes"
    assert letters > len(given) // 2
    assert blank > len(given) // 50


@pytest.mark.parametrize(
    "count", [pytest.param(500, id="500"), pytest.param(10000, marks=pytest.mark.real, id="10000")]
)
def test_count_and_order_are_kept(pipe: Callable[..., Any], copy_run: Path, count: int) -> None:
    given = lines_of(count)
    ended = pipe("translate", copy_run, given=b"\n".join(given) + b"\n")
    assert ended.code == 0
    check(given, ended.out, copy_run)
    broken = [number for number, line in enumerate(given, start=1) if b"\xff" in line or line == b"\xc3"]
    assert f"{len(broken)} lines have bytes that are not UTF-8" in ended.err
    assert f"the first is line {broken[0]}" in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("given", [b"", b"\n", b"ab", b"ab\n\n", b"\xef\xbb\xbfab\r\nba\r\n"], ids=repr)
def test_beginnings_and_ends(call: Callable[..., Any], copy_run: Path, tmp_path: Path, given: bytes) -> None:
    """No line, a blank line, no line break at the end, a byte-order mark and Windows line ends."""
    (tmp_path / "in").write_bytes(given)
    assert call("translate", copy_run, "-i", tmp_path / "in", "-o", tmp_path / "deep/out").code == 0
    expected = [line.removeprefix(b"\xef\xbb\xbf") for line in given.splitlines()]
    assert (tmp_path / "deep/out").read_bytes() == b"".join(line + b"\n" for line in expected)


def test_a_very_long_line_is_cut_and_told(call: Callable[..., Any], copy_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"ab\n" + b"abcd" * 12500 + b"\nba\n")
    ended = call("translate", copy_run, "-i", tmp_path / "in")
    assert ended.code == 0
    first, _, last = ended.out.splitlines()
    assert (first, last) == ("ab", "ba")
    assert "a source is longer than 4,095 symbols and read only that far (line 2)" in ended.err


def test_a_slow_writer_gets_the_first_answer_before_the_end(start: Callable[..., Any], copy_run: Path) -> None:
    process: subprocess.Popen[bytes] = start("translate", copy_run)
    assert process.stdin is not None
    assert process.stdout is not None
    for line in (b"abc\n", b"dcb\n"):
        process.stdin.write(line)
        process.stdin.flush()
        assert process.stdout.readline() == line
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)
    assert process.returncode == 130
    assert process.stderr is not None
    assert process.stderr.read() == b""


def test_a_steady_trickle_is_answered_too() -> None:
    """Lines that never pause do not fill a window of 2,000 first."""
    from seqcli.cli import streams

    class Trickle(io.BytesIO):
        def readline(self, size: int | None = -1) -> bytes:
            time.sleep(0.02)
            return super().readline(size)

    sizes = [len(window) for window in streams.windows(Trickle(b"a\n" * 40))]
    assert sum(sizes) == 40
    assert len(sizes) > 1


def test_head_closes_the_pipe(copy_run: Path, tmp_path: Path) -> None:
    """As the shell says it, the writer still writing."""
    script = (
        f'(yes abc | head -5000; sleep 2) | python -m seqcli translate "{copy_run}" 2>err | head -1;'
        ' echo "${PIPESTATUS[1]}"; cat err'
    )
    ended = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, env=_environment())
    assert ended.stdout.splitlines() == ["abc", "141"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_ends_with_74(copy_run: Path, tmp_path: Path) -> None:
    script = f'(echo abc; sleep 2) | python -m seqcli translate "{copy_run}" > /dev/full'
    ended = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, env=_environment())
    assert ended.returncode == 74
    assert ended.stderr == "No space left on device\n"


def _environment() -> dict[str, str]:
    binaries = str(Path(sys.executable).parent)
    return {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{binaries}:{os.environ['PATH']}"}


@pytest.fixture
def answers(call: Callable[..., Any], copy_run: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The lines written for the lines given."""

    def run(given: Iterable[str], *arguments: str) -> list[str]:
        (tmp_path / "in").write_text("".join(f"{line}\n" for line in given), encoding="utf-8")
        ended = call("translate", copy_run, "-i", tmp_path / "in", *arguments)
        assert (ended.code, ended.err) == (0, "")
        lines: list[str] = ended.out.split("\n")
        assert lines.pop() == ""
        return lines

    return run


def test_scores(answers: Callable[..., list[str]]) -> None:
    rows = [line.split("\t") for line in answers(["abc", "", "d"], "--scores")]
    assert [text for _, text in rows] == ["abc", "", "d"]
    assert float(rows[0][0]) < 0
    assert rows[1][0] == "0.000000"


def test_nbest(answers: Callable[..., list[str]]) -> None:
    rows = [line.split("\t") for line in answers(["abcd", "", "bb"], "--nbest", "3")]
    assert [number for number, _, _ in rows] == ["1"] * 3 + ["2"] + ["3"] * 3
    assert (rows[0][2], rows[4][2]) == ("abcd", "bb")
    scores = [float(score) for _, score, _ in rows[:3]]
    assert scores == sorted(scores, reverse=True)
    assert len({text for _, _, text in rows[:3]}) == 3


def test_beam_sizes_and_length_penalty(answers: Callable[..., list[str]]) -> None:
    given = ["abcd", "dd", "c"]
    for size in ("1", "2", "7"):
        assert answers(given, "--beam-size", size) == given
    plain, normalised = (
        [float(line.split("\t")[0]) for line in answers(given, "--scores", "--length-penalty", penalty)]
        for penalty in ("0", "1")
    )
    # the score is divided by the length, EOS counted
    assert [whole / part for whole, part in zip(plain, normalised, strict=True)] == pytest.approx([5, 3, 2], rel=1e-2)


def test_overrides_reach_the_search(answers: Callable[..., list[str]]) -> None:
    assert answers(["abcd"], "search.max_length=2") == ["ab"]


def test_json_passes_other_fields_through(answers: Callable[..., list[str]]) -> None:
    fields = {"id": 7, "nested": {"ü": [1, None]}, "translation": "old", "features": ["not", "ours"], "half": "\ud800"}
    given = [json.dumps({"source": "abc", **fields}), "", json.dumps({"source": "", "id": 8})]
    first, blank, empty = (json.loads(line) for line in answers(given, "--json"))
    assert {name: first[name] for name in fields} == {**fields, "translation": "abc"}
    assert list(first)[:2] == ["source", "id"]
    assert first["score"] < 0
    assert blank["translation"] == empty["translation"] == ""
    assert empty["id"] == 8


def test_json_nbest(answers: Callable[..., list[str]]) -> None:
    (line,) = answers(['{"source": "abc"}'], "--json", "--nbest", "2")
    found = json.loads(line)["translations"]
    assert [set(one) for one in found] == [{"text", "score", "log_prob"}] * 2
    assert found[0]["text"] == "abc"
    assert found[0]["score"] > found[1]["score"]


@pytest.mark.parametrize(
    "line",
    ["abc", "[1]", '{"text": "abc"}', '{"source": 5}', "[" * 100000, '{"source": "\\ud800"}'],
    ids=["no JSON", "no object", "no source", "no text", "too deep", "half a surrogate pair"],
)
def test_bad_json_ends_with_3_and_names_the_line(
    call: Callable[..., Any], copy_run: Path, tmp_path: Path, line: str
) -> None:
    (tmp_path / "in").write_text(f'{{"source": "ab"}}\n{line}\n')
    ended = call("translate", copy_run, "--json", "-i", tmp_path / "in")
    assert ended.code == 3
    assert ended.err.startswith("line 2: ")
    assert len(ended.err) < 300


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere"], 2, "nowhere is no run directory"),
        (["RUN", "-i", "nothere"], 3, "nothere: cannot be read"),
        (["RUN", "-i", "."], 3, ".: cannot be read"),
        (["RUN", "-i", "in", "-o", "in/out"], 74, "in/out: cannot be written"),
        (["RUN", "-i", "in", "-o", "in"], 2, "in is read and written"),
        (["RUN", "-i", "in", "--align-words"], 2, "go with --alignments or --replace-unknown"),
        (["RUN", "-i", "in", "--align-threshold", "0"], 2, "go with --alignments or --replace-unknown"),
        (["RUN", "-i", "in", "--beam-size", "0"], 2, "--beam-size"),
        (["RUN", "-i", "in", "search.beam=2"], 2, "beam_size"),
        (["RUN", "-i", "in", "--checkpoint", "worst"], 2, "best, last, average"),
        (["RUN", "-i", "in", "--checkpoint", "77"], 1, "step-00000150"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(
    call: Callable[..., Any],
    copy_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").write_text("ab\n")
    ended = call("translate", *(str(copy_run) if argument == "RUN" else argument for argument in arguments))
    assert ended.code == code
    assert said in ended.err
    assert ended.out == ""
    assert Path("in").read_text() == "ab\n"


@pytest.mark.parametrize("name", ["best", "last", "average", "150"])
def test_checkpoints(answers: Callable[..., list[str]], name: str) -> None:
    assert answers(["abcd"], "--checkpoint", name) == ["abcd"]
