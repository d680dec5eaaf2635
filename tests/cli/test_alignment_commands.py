"""`seqcli eval --align` and `seqcli translate --alignments`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import seqcli
from seqcli.data.pharaoh import format_links
from seqcli.symbols import EOS


def test_a_copy_is_aligned(call: Callable[..., Any], copy_run: Path, tmp_path: Path) -> None:
    ended = call("eval", copy_run, "--align", "--json", "-o", tmp_path / "links")
    assert (ended.code, ended.err) == (0, "")
    record = json.loads(ended.out)
    assert list(record["metrics"]) == ["aer", "precision", "recall"]
    run = seqcli.load(copy_run)
    found = run.align()
    lines = (tmp_path / "links").read_text().splitlines()
    assert lines == [format_links(links) for links in found.links]
    for name, metric in record["metrics"].items():
        assert metric["value"] == found.metrics[name].value
        low, high = metric["interval"]
        assert low <= metric["value"] <= high
    assert "|unit:character|attention:layer-1-mean|step:output|by:argmax|" in record["metrics"]["aer"]["signature"]


def test_gold_of_a_file(call: Callable[..., Any], copy_run: Path, tmp_path: Path) -> None:
    for name, text in {"source": "ab\nc\n", "target": "ab\nc\n", "gold": "1-1 2-2\n1p1\n"}.items():
        (tmp_path / name).write_text(text)
    files = ("--source", tmp_path / "source", "--target", tmp_path / "target", "--gold", tmp_path / "gold")
    ended = call("eval", copy_run, "--align", *files, "--gold-first", "1", "--align-threshold", "0", "--json")
    values = {name: metric["value"] for name, metric in json.loads(ended.out)["metrics"].items()}
    # all of 2 × 2 and 1 × 1 are linked; three of these are right, and both sure ones found: 1 − (2 + 3)/(5 + 2)
    assert values == pytest.approx({"aer": 100 * 2 / 7, "precision": 60, "recall": 100})
    ended = call("eval", copy_run, "--align", *files)
    assert ended.code == 3
    assert "a gold link goes to word 2 of the source (counted from 0), which has 2" in ended.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--align", "--metrics", "bleu"), "--align goes without --metrics"),
        (("--align-from", "input"), "go with --align"),
        (("--align", "--align-from", "both"), "--align-from both: there are input and output"),
        (("--align", "--align-layer", "2"), "there is no layer 2 of attention over the source; there are 1 to 1"),
        (("--align", "--gold", "nowhere", "--gold-first", "2"), "--gold-first 2: words are numbered from 0 or from 1"),
    ],
)
def test_what_is_refused(call: Callable[..., Any], copy_run: Path, options: tuple[str, ...], message: str) -> None:
    ended = call("eval", copy_run, *options)
    assert ended.code == 2
    assert message in ended.err


def test_translations_with_their_links(pipe: Callable[..., Any], copy_run: Path) -> None:
    ended = pipe("translate", copy_run, "--alignments", "--nbest", "2", given=b"abc\n\nb\n")
    assert ended.code == 0
    lines = [line.split("\t") for line in ended.out.decode().splitlines()]
    assert [line[0] for line in lines] == ["1", "1", "2", "3", "3"]
    run = seqcli.load(copy_run)
    examples = run.examples(["abc", "abc", "b", "b"])
    found = [one for hypotheses in run.hypotheses(run.examples(["abc", "b"]), run.settings(2)) for one in hypotheses]
    expected = [format_links(links) for links in run.alignments(examples, found)]
    assert [line[3] for line in lines if line[0] != "2"] == expected
    assert lines[2][2:] == ["", ""]
    ended = pipe("translate", copy_run, "--alignments", "--json", given=b'{"source": "abc"}\n')
    (links,) = run.alignments(run.examples(["abc"]), [run.hypotheses(run.examples(["abc"]))[0][0]])
    assert json.loads(ended.out)["alignment"] == format_links(links)


def test_every_hypothesis_of_a_beam_has_its_links(call: Callable[..., Any], copy_run: Path, tmp_path: Path) -> None:
    """In JSON, and in lines, also of hypotheses that were cut; the links are those of the hypothesis's own symbols."""
    given = ["abc", "", "dcba", "b"]
    (tmp_path / "json").write_text("".join(f"{json.dumps({'source': text})}\n" for text in given))
    (tmp_path / "in").write_text("".join(f"{text}\n" for text in given))
    options = ("--alignments", "--nbest", "4", "--beam-size", "5", "search.max_length=4")
    answers = [
        json.loads(line)
        for line in call("translate", copy_run, "-i", tmp_path / "json", "--json", *options).out.splitlines()
    ]
    lines = [line.split("\t") for line in call("translate", copy_run, "-i", tmp_path / "in", *options).out.splitlines()]
    run = seqcli.load(copy_run, ["search.max_length=4"])
    found = run.hypotheses(run.examples(given), run.settings(5))
    seen, cut = 0, 0
    for number, (text, hypotheses, answer) in enumerate(zip(given, found, answers, strict=True), start=1):
        kept = hypotheses[:4]
        examples = run.examples([text] * len(kept))
        links = [format_links(each) for each in run.alignments(examples, kept)]
        assert [one["text"] for one in answer["translations"]] == [one.text for one in kept]
        assert [one["alignment"] for one in answer["translations"]] == links
        assert answer["alignment"] == links[0]
        assert [line[3] for line in lines if line[0] == str(number)] == links
        for one, each in zip(kept, links, strict=True):
            targets = [int(link.split("-")[1]) for link in each.split()]
            assert all(target < len(one.text) for target in targets)
            seen += bool(each)
            cut += bool(one.ids) and one.ids[-1] != EOS
    assert seen >= 10
    assert cut >= 2
    # two hypotheses for one source differ in their links too
    assert len({one["alignment"] for one in answers[0]["translations"]}) > 1
