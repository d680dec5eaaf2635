"""Many clients at once: every answer is the command line's, and side by side many more are answered than one after the other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from crowd import Tally, crowd
from served import Served, serving

from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe
from seqcli.run import load

Asked = list[tuple[dict[str, Any], Any]]


def command_line(run: Path, sources: list[str], *options: str) -> list[dict[str, Any]]:
    """What `seqcli translate --json` answers to each source."""
    lines = "".join(json.dumps({"source": source}) + "\n" for source in sources)
    done = subprocess.run(
        [sys.executable, "-m", "seqcli", "translate", str(run), "--json", "-q", *options],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def asked_of(run: Path, count: int) -> Asked:
    """Test sources with the command line's answers: single ones, some with several hypotheses, and some requests of several sources."""
    sources = [example.source for example, _ in zip(load(run).corpus("test").read(), range(count), strict=False)]
    best = [one["translation"] for one in command_line(run, sources)]
    several = command_line(run, sources, "--nbest", "3", "--length-penalty", "0.5")
    asked: Asked = [({"source": source}, {"translation": text}) for source, text in zip(sources, best, strict=True)]
    for place in range(0, count, 9):
        row, texts = several[place], [one["text"] for one in several[place]["translations"]]
        asked[place] = (
            {"source": sources[place], "nbest": 3, "length_penalty": 0.5},
            {"translation": row["translation"], "translations": [{"text": text} for text in texts]},
        )
    for place in range(4, count - 5, 9):
        results = [{"translation": text} for text in best[place : place + 5]]
        asked[place] = ({"sources": sources[place : place + 5]}, {"results": results})
    return asked


def check(tally: Tally, server: Served) -> None:
    assert tally.wrong == []
    assert set(tally.statuses) == {200}
    text = server.ask("GET", "/metrics")[2].decode()
    counted = re.search(r'seqcli_requests_total\{route="/translate",status="200"\} (\d+)', text)
    assert counted
    assert int(counted[1]) == sum(tally.statuses.values())
    batches, sources = (
        int(found[1])
        for name in ("count", "sum")
        if (found := re.search(rf"seqcli_batch_sources_{name} (\d+)", text)) is not None
    )
    assert sources > 1.5 * batches  # they did go side by side


def test_twenty_clients(copy_run: Path, tmp_path: Path) -> None:
    asked = asked_of(copy_run, 90)
    with serving(copy_run, tmp_path / "log") as server:
        tally = crowd(server.port, asked, clients=20, seconds=4)
        assert sum(tally.statuses.values()) > 40
        check(tally, server)


@pytest.fixture(scope="module")
def dates_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """The shipped recipe for dates after a part of its training."""
    folder = tmp_path_factory.mktemp("runs") / "dates"
    list(prepare(load_recipe("dates", ["training.steps=200", "threads=1"]), folder).train())
    return folder


@pytest.mark.real
@pytest.mark.timeout(900)
def test_two_hundred_clients_for_a_minute(dates_run: Path, tmp_path: Path) -> None:
    asked = asked_of(dates_run, 900)
    with serving(dates_run, tmp_path / "log") as server:
        tally = crowd(server.port, asked, clients=200, seconds=60)
        assert sum(tally.statuses.values()) > 2000
        check(tally, server)


@pytest.mark.real
@pytest.mark.timeout(900)
def test_side_by_side_is_five_times_as_fast(dates_run: Path, tmp_path: Path) -> None:
    """One client that waits for each answer at a server that batches nothing, before and after many clients at one that does."""
    asked = [(fields, answer) for fields, answer in asked_of(dates_run, 300) if fields.keys() == {"source"}]
    options = ["threads=1"]
    with (
        serving(dates_run, tmp_path / "one", *options, "--batch", "1") as alone,
        serving(dates_run, tmp_path / "many", *options) as together,
    ):
        alternating = [
            (crowd(alone.port, asked, clients=1, seconds=8), crowd(together.port, asked, clients=200, seconds=8))
            for _ in range(3)
        ]
    assert not any(tally.wrong for pair in alternating for tally in pair)
    ratio = sum(many.rate for _, many in alternating) / sum(one.rate for one, _ in alternating)
    print(f"\n{[(round(one.rate), round(many.rate)) for one, many in alternating]} requests/s: {ratio:.1f} times")
    assert ratio >= 5
