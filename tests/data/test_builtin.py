"""The builtin data: the shipped dates, and strings to copy, reverse and sort."""

from __future__ import annotations

import gzip
import importlib.util
import re
import unicodedata
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

from seqcli.data.builtin import read_algorithmic, read_dates
from seqcli.data.corpus import Split
from seqcli.errors import DataError

REPOSITORY = Path(__file__).resolve().parents[2]
FILE = REPOSITORY / "seqcli" / "data" / "dates.tsv.gz"
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def test_the_dates_file_is_small_and_complete() -> None:
    assert FILE.stat().st_size < 150_000
    rows = [line.split("\t") for line in gzip.decompress(FILE.read_bytes()).decode().splitlines()]
    assert len(rows) == 17_352
    assert len({row[0] for row in rows}) == 24
    meanings: dict[str, set[str]] = {}
    days: dict[str, set[str]] = {split: set() for split in SPLITS}
    for _, split, source, target in rows:
        meanings.setdefault(source, set()).add(target)
        days[split].add(target)
        assert date.fromisoformat(target).isoformat() == target
    assert all(len(targets) == 1 for targets in meanings.values())
    assert not days["train"] & days["validation"]
    assert not (days["train"] | days["validation"]) & days["test"]


def test_every_date_says_what_its_target_says() -> None:
    """The year and the day stand in the text as numbers, in whichever digits: Gregorian, and never read off by one."""
    count = 0
    for split in SPLITS:
        for example in read_dates(split).read():
            plain = "".join(str(unicodedata.decimal(sign, "")) or sign for sign in example.source)
            numbers = [int(number) for number in re.findall(r"\d+", plain)]
            assert example.target is not None
            year, month, day = map(int, example.target.split("-"))
            assert year in numbers, example
            assert day in numbers, example
            count += 1
    assert count == 17_352


def test_the_dates_are_varied() -> None:
    sources = [example.source for example in read_dates("train").read()]
    assert len(sources) == 24 * 660
    assert any(source.islower() for source in sources)
    assert any(source.istitle() for source in sources)
    assert {unicodedata.name(source[-1]).split()[0] for source in sources} > {"DIGIT", "CJK", "HANGUL", "ARABIC-INDIC"}


def test_locales_take_turns_and_can_be_chosen() -> None:
    examples = list(read_dates("test", ["ja", "de"]).read())
    assert len(examples) == 84
    assert ["年" in example.source for example in examples[:6]] == [False, True] * 3
    assert len({read_dates("test").digest(), read_dates("test", ["de"]).digest(), read_dates("train").digest()}) == 3
    for locales, told in ((["xx"], "no locale 'xx'; there are: ar, cs"), ([], "no locale is chosen")):
        with pytest.raises(DataError, match=told):
            read_dates("test", locales)


def make_dates() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_dates", REPOSITORY / "scripts" / "make_dates.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_makes_the_shipped_dates_again() -> None:
    babel = pytest.importorskip("babel")
    script = make_dates()
    if babel.__version__ != script.BABEL:
        pytest.skip(f"the file was made with Babel {script.BABEL}, here is {babel.__version__}")
    splits = script.date_splits()
    rows = gzip.decompress(FILE.read_bytes()).decode().splitlines()
    for locale in ("de", "ar", "zh"):
        made = ["\t".join(row) for row in script.pairs(locale, splits)]
        assert made == [row for row in rows if row.startswith(f"{locale}\t")]


@pytest.mark.parametrize("kind", ["copy", "reverse", "sort"])
def test_algorithmic_answers(kind: str) -> None:
    answers = {
        "copy": lambda text: text,
        "reverse": lambda text: text[::-1],
        "sort": lambda text: "".join(sorted(text)),
    }
    corpus = read_algorithmic(kind, "train", seed=3, alphabet=5, shortest=2, longest=6, examples=300)  # type: ignore[arg-type]
    examples = list(corpus.read())
    assert len(examples) == 300
    for example in examples:
        assert 2 <= len(example.source) <= 6
        assert set(example.source) <= set("abcde")
        assert example.target == answers[kind](example.source)
    assert examples == list(corpus.read())


def test_algorithmic_splits_are_disjoint_and_have_every_length() -> None:
    strings = {split: [e.source for e in read_algorithmic("copy", split).read()] for split in SPLITS}
    assert {split: len(found) for split, found in strings.items()} == {"train": 10_000, "validation": 500, "test": 500}
    assert not set(strings["train"]) & (set(strings["validation"]) | set(strings["test"]))
    assert not set(strings["validation"]) & set(strings["test"])
    assert {len(text) for text in strings["train"]} == set(range(1, 11))


def test_few_strings_do_not_hang() -> None:
    for split in SPLITS:
        assert len(list(read_algorithmic("sort", split, alphabet=2, longest=1, examples=10).read())) >= 10
    with pytest.raises(DataError, match="shortest"):
        read_algorithmic("sort", "train", shortest=5, longest=4)
    assert read_algorithmic("copy", "train", seed=1).digest() != read_algorithmic("copy", "train", seed=2).digest()
