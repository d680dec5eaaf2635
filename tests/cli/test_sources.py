"""Lines of input as examples, with targets behind them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seqcli.cli.sources import Reading, read_line
from seqcli.data.tasks import Tagging
from seqcli.errors import DataError
from seqcli.symbols import Example

TEXTS = Reading(as_json=False, texts=True, images=False, tagging=Tagging(), targets=True)


def read(text: str, reading: Reading = TEXTS) -> Example:
    return read_line(text, 4, reading)[0]


def test_the_last_column_is_the_target() -> None:
    assert read("a b\tc d") == Example("a b", "c d", 4, "line 5")
    assert read("a\t") == Example("a", "", 4, "line 5")
    assert read("\tc") == Example("", "c", 4, "line 5")
    assert read("").target == ""
    assert read_line("\ufeffa\tb", 0, TEXTS)[0] == Example("a", "b", 0, "line 1")


def test_tags_and_images_before_it() -> None:
    tagged = replace(TEXTS, tagging=Tagging(";"))
    assert read("gehen\tV;PST\tging", tagged) == Example("gehen", "ging", 4, "line 5", ("V", "PST"))
    assert read("gehen\tging", tagged) == Example("gehen", "ging", 4, "line 5")
    both = replace(TEXTS, images=True)
    assert read("a.png\tis it ?\tyes", both) == Example("is it ?", "yes", 4, "line 5", image="a.png")
    assert read("a.png\tred", replace(both, texts=False)) == Example("", "red", 4, "line 5", image="a.png")


def test_json() -> None:
    reading = replace(TEXTS, as_json=True)
    example, fields = read_line('{"source": "a", "target": "b", "id": 1}', 0, reading)
    assert (example.source, example.target, fields["id"]) == ("a", "b", 1)
    for line in ('{"source": "a"}', '{"source": "a", "target": 5}', '{"source": "a", "target": "\\ud800"}'):
        with pytest.raises(DataError, match="line 1: .*target"):
            read_line(line, 0, reading)
    # without targets the field is anybody's
    assert read_line('{"source": "a", "target": 5}', 0, replace(reading, targets=False))[0].target is None


@pytest.mark.parametrize("line", ["a", "a\tb\tc", "a\tb\t"])
def test_other_numbers_of_columns(line: str) -> None:
    with pytest.raises(
        DataError, match=f"line 5: needs a source, a tab, and a target, but has {line.count(chr(9)) + 1} col"
    ):
        read(line)


def test_a_message_cannot_steer_the_terminal() -> None:
    for reading in (TEXTS, replace(TEXTS, as_json=True), replace(TEXTS, images=True)):
        with pytest.raises(DataError) as raised:
            read('"\x7f\x9b2J"', reading)
        assert str(raised.value).endswith('"\ufffd\ufffd2J"')
