"""What `seqcli translate` is told of the search: by options, by fields of its lines, and what it writes of the beam."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Written = Callable[..., list[str]]


@pytest.fixture
def written(call: Callable[..., Any], copy_run: Path, tmp_path: Path) -> Written:
    """The lines written for the lines given, by a model that copies letters out of abcd."""

    def run(given: list[Any], *arguments: str) -> list[str]:
        lines = [line if isinstance(line, str) else json.dumps(line) for line in given]
        (tmp_path / "in").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        ended = call("translate", copy_run, "-i", tmp_path / "in", *arguments)
        assert (ended.code, ended.err) == (0, "")
        out: list[str] = ended.out.splitlines()
        return out

    return run


def scored(lines: list[str]) -> list[tuple[str, float]]:
    return [(text, float(score)) for score, text in (line.split("\t") for line in lines)]


def test_length_normalizations_divide_as_they_say(written: Written) -> None:
    how = {
        kind: scored(written(["abcd"], "--scores", "--length-normalization", kind))[0]
        for kind in ("average", "gnmt", "none")
    }
    assert {text for text, _ in how.values()} == {"abcd"}
    plain = how["none"][1]
    # five symbols with the end
    assert how["average"][1] == pytest.approx(plain / 5, rel=1e-2, abs=2e-6)
    assert how["gnmt"][1] == pytest.approx(plain / (10 / 6), rel=1e-2, abs=2e-6)


def test_lengths_prefixes_and_phrases(written: Written) -> None:
    assert written(["abcd"], "--max-length", "2") == ["ab"]
    assert len(written(["ab"], "--min-length", "6", "--beam-size", "4")[0]) >= 5
    assert written(["abcd"], "--prefix", "dd")[0].startswith("dd")
    assert "ca" in written(["abcd"], "--constraint", "ca", "--beam-size", "4")[0]
    assert {"cc", "dd"} <= {
        two
        for text in written(["abcd"], "--constraint", "cc", "--constraint", "dd")
        for two in map("".join, zip(text, text[1:], strict=False))
    }
    avoided = written(["abcd"], "--avoid", "bc", "--avoid", "d", "--beam-size", "3", "--nbest", "3")
    assert not any("bc" in line.split("\t")[2] or "d" in line.split("\t")[2] for line in avoided)
    assert written(["aaaa"], "--no-repeat-ngram", "1")[0].count("a") == 1


def test_other_options_are_heard(written: Written) -> None:
    given = ["abcd", "dcb", "a"]
    for options in (
        ["--coverage-penalty", "0.2", "--beam-size", "3"],
        ["--patience", "2", "--beam-size", "3"],
        ["--patience", "null", "--beam-size", "2"],
        ["--diverse-groups", "2", "--diversity", "0.3", "--beam-size", "4"],
        ["--temperature", "0.01", "--top-k", "5", "--top-p", "0.9", "--min-p", "0.1"],
    ):
        assert written(given, *options) == given
    groups = written(["abcd"], "--diverse-groups", "3", "--diversity", "50", "--beam-size", "3", "--nbest", "3")
    assert len({line.split("\t")[2][:1] for line in groups}) >= 3, "the groups begin differently"
    assert written(["aaaa"], "--repetition-penalty", "30") != ["aaaa"]


def test_samples_depend_on_the_seed_and_the_line_alone(written: Written) -> None:
    given = ["abcd", "dcb", "a", "cc", "abcd"]
    how = ["--temperature", "4", "--nbest", "3"]
    several = [line.split("\t")[2] for line in written(given, *how)]
    assert several[:3] == several[12:]
    backwards = [line.split("\t")[2] for line in written(given[::-1], *how, "search.batch_sentences=2")]
    assert [backwards[start : start + 3] for start in range(0, 15, 3)][::-1] == [
        several[start : start + 3] for start in range(0, 15, 3)
    ]
    assert [line.split("\t")[2] for line in written(given, *how, "--seed", "2")] != several
    own = written(
        [{"source": "abcd", "seed": 2}, {"source": "abcd"}], "--json", "--temperature", "4", "--beam-size", "3"
    )
    texts = [json.loads(line)["translation"] for line in own]
    assert texts == [
        written(["abcd"], *how, "--seed", "2")[0].split("\t")[2],
        several[0],
    ]


def test_lines_have_wishes_of_their_own(written: Written) -> None:
    given = [
        {"source": "abcd", "prefix": "d"},
        {"source": "abcd", "constraints": ["ca", "bb"]},
        {"source": "abcd", "avoid": ["cd"]},
        {"source": "ab", "min_length": 6},
        {"source": "abcd", "max_length": 2},
        {"source": "abcd", "prefix": None, "avoid": []},
    ]
    found = [json.loads(line)["translation"] for line in written(given, "--json", "--beam-size", "4", "--avoid", "ab")]
    assert found[0][0] == "d"
    assert "ca" in found[1]
    assert "bb" in found[1]
    assert "ab" not in found[1], "what holds for all holds for a line that does not say otherwise"
    assert "cd" not in found[2]
    assert "ab" in found[2], "its own phrases stand in for those of all"
    assert len(found[3]) >= 5
    assert len(found[4]) <= 2
    assert "ab" in found[5]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prefix": 5}, 'line 2: "prefix" is to be a text, not 5'),
        ({"prefix": "\ud800"}, 'line 2: "prefix" holds half a surrogate pair'),
        ({"prefix": "xyz"}, "line 2: the prefix 'xyz' has symbols that the target's vocabulary lacks"),
        ({"constraints": "ab"}, 'line 2: "constraints" is to be a list of texts, not \'ab\''),
        ({"constraints": ["ab", 1]}, 'line 2: "constraints" is to be a list of texts'),
        ({"constraints": [""]}, "line 2: the constraint '' is no text"),
        ({"constraints": ["ab"] * 2 + ["ba"], "max_length": 4}, "line 2: prefix and constraints have 5 symbols, the end counted"),
        ({"avoid": {"a": 1}}, 'line 2: "avoid" is to be a list of texts'),
        ({"avoid": ["b"], "constraints": ["abc"]}, "line 2: 'b' is to be avoided, but 'abc' is to be written"),
        ({"min_length": -1}, 'line 2: "min_length" is to be a whole number of 0 or more, not -1'),
        ({"max_length": 0}, 'line 2: "max_length" is to be a whole number of 1 or more, not 0'),
        ({"max_length": True}, 'line 2: "max_length" is to be a whole number'),
        ({"min_length": 7, "max_length": 3}, "line 2: min_length is 7, but max_length is 3"),
        ({"seed": 1.5}, 'line 2: "seed" is to be a whole number of 0 or more, not 1.5'),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_wrong_wish_ends_with_3_and_names_the_line(
    call: Callable[..., Any], copy_run: Path, tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    lines = [{"source": "abc"}, {"source": "abc", **fields}]
    (tmp_path / "in").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    ended = call("translate", copy_run, "--json", "-i", tmp_path / "in")
    assert ended.code == 3
    assert ended.err.startswith(said)
    assert ended.out == ""


@pytest.mark.parametrize("options", [("--sample",), ("--beam-size", "4", "--diverse-groups", "2"), ("--mbr", "4")])
def test_a_lines_constraints_need_one_beam(
    call: Callable[..., Any], copy_run: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """What the recipe may not ask for, a line may not either."""
    (tmp_path / "in").write_text('{"source": "abc"}\n{"source": "abc", "constraints": ["ab"]}\n')
    ended = call("translate", copy_run, "--json", "-i", tmp_path / "in", *options)
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("line 2: constraints need one beam; leave them out, or sampling and diverse groups")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--top-p", "2"], "search.sampling.top_p"),
        (["--temperature", "0"], "is not greater than 0"),
        (["--length-normalization", "mean"], "is not one of average, gnmt, none"),
        (["--patience", "never"], "search.patience"),
        (["--beam-size", "3", "--diverse-groups", "2"], "set search.beam_size to a multiple of 2"),
        (["--sample", "--constraint", "a"], "leave one of both out"),
        (["--prefix", "xyz"], "search: the prefix 'xyz' has symbols that the target's vocabulary lacks"),
        (["--avoid", "b", "--prefix", "ab"], "search: 'b' is to be avoided, but 'ab' is to be written"),
        (["--trace", "in"], "in is read and written"),
        (["--trace", "both", "-o", "both"], "both is written twice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_end_with_2(
    call: Callable[..., Any],
    copy_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").write_text("ab\n")
    ended = call("translate", copy_run, "-i", "in", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert Path("in").read_text() == "ab\n"


def test_the_beam_as_json_lines(written: Written, tmp_path: Path) -> None:
    given = ["abcd", "", "dd"]
    plain = written(given, "--beam-size", "3", "--nbest", "3")
    assert written(given, "--beam-size", "3", "--nbest", "3", "--trace", str(tmp_path / "trace")) == plain
    records = [json.loads(line) for line in (tmp_path / "trace").read_text(encoding="utf-8").splitlines()]
    assert [(record["line"], record["source"]) for record in records] == [(1, "abcd"), (2, ""), (3, "dd")]
    assert records[1]["beam"] == []
    for record, number in ((records[0], 1), (records[2], 3)):
        beam = record["beam"]
        assert {"live", "pruned", "finished"} <= {node["fate"] for node in beam}
        told = [line.split("\t") for line in plain if line.startswith(f"{number}\t")]
        assert len(told) == 3
        for place, (_, score, text) in enumerate(told, start=1):
            (end,) = [node for node in beam if node["place"] == place]
            assert end["score"] == pytest.approx(float(score), abs=1e-6)
            tokens, node, log_prob = [], end, 0.0
            while True:
                tokens.append(node["token"])
                log_prob += node["step_log_prob"]
                if node["parent"] is None:
                    break
                node = beam[node["parent"]]
            assert "".join(tokens[::-1]).removesuffix("</s>") == text
            assert math.isclose(log_prob, end["log_prob"], abs_tol=1e-6)
