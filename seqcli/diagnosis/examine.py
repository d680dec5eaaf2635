"""A data set gone through twice: once to learn what is usual in it, once to name the rows that are not.

Of every row a few numbers are kept, not its text, so that a million rows fit into little memory.
"""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from seqcli.diagnosis.copies import WORDS_TO_COMPARE, Keys, first_places, places_in, repeated
from seqcli.diagnosis.encoding import around, findings, form
from seqcli.diagnosis.faults import KINDS, NEVER_USUAL, USUAL, Fault, Side
from seqcli.diagnosis.languages import Sides, learn_sides
from seqcli.diagnosis.lengths import Lengths, learn_lengths
from seqcli.diagnosis.rows import Row
from seqcli.diagnosis.words import Unknown, Vocabulary

LEARNT_FROM = 20_000
"""Pairs that the sides are learnt from, drawn from all of training."""
MOST_LISTED = 20_000
"""Faults of one kind in one split that are kept one by one."""
SIDES: tuple[Side, Side] = ("source", "target")
SHOWN = 60


FEWEST = 200
"""Rows that a split must have for a share of them to say what is usual; it counts as so many where it has fewer."""
TOGETHER = (("leaked_pair", "leaked_source"), ("duplicate", "near_duplicate"))


def _related(kind: str) -> tuple[str, ...]:
    """The kinds that are counted together with it."""
    return next((kinds for kinds in TOGETHER if kind in kinds), (kind,))


@dataclass
class SplitDiagnosis:
    """What was found in a split of `count` rows: its faults, the rows of each kind of fault, and how much of it training does not know."""

    name: str
    count: int = 0
    faults: list[Fault] = field(default_factory=list)
    rows: dict[str, array[int]] = field(default_factory=dict)
    unknown: dict[str, Unknown] = field(default_factory=dict)

    @property
    def usual(self) -> list[str]:
        """The kinds that so many rows have that they are the nature of the data; duplicates and the like too. Rows that cannot be read, or are
        empty, never are."""
        shares = {kind: len(rows) / max(self.count, FEWEST) for kind, rows in self.rows.items()}
        often = [kind for kind in shares if sum(shares.get(one, 0.0) for one in _related(kind)) > USUAL]
        return [kind for kind in often if kind not in NEVER_USUAL]

    @property
    def sound(self) -> bool:
        """Whether there are rows, and no fault: what is usual here, and remarks, are none."""
        return self.count > 0 and all(kind in self.usual or KINDS[kind].action == "keep" for kind in self.rows)

    def add(self, kind: str, row: int, at: Row, side: Side, value: str) -> None:
        """Take in a fault; a second one of the same kind in the same row is the same fault."""
        rows = self.rows.setdefault(kind, array("q"))
        if rows and rows[-1] == row:
            return
        rows.append(row)
        if len(rows) <= MOST_LISTED:
            self.faults.append(Fault(kind, self.name, row, at.file, at.line, side, value))


@dataclass(frozen=True)
class Diagnosis:
    """What was found in a data set: by split; whether its `sides` could be told apart, and each side's normalization `forms`."""

    splits: dict[str, SplitDiagnosis]
    sides_told_apart: bool
    forms: dict[Side, str | None]

    @property
    def sound(self) -> bool:
        """Whether no split has a fault."""
        return all(split.sound for split in self.splits.values())


@dataclass
class _Seen:
    """What the first pass keeps of a split."""

    keys: Keys = field(default_factory=Keys)
    lengths: tuple[array[int], array[int]] = field(default_factory=lambda: (array("i"), array("i")))
    readable: array[int] = field(default_factory=lambda: array("b"))
    files: dict[str, int] = field(default_factory=dict)
    file: array[int] = field(default_factory=lambda: array("i"))
    line: array[int] = field(default_factory=lambda: array("i"))

    @property
    def both_lengths(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Characters of each source and each target."""
        source, target = (np.array(lengths, dtype=np.int32) for lengths in self.lengths)
        return source, target

    @property
    def can_be_read(self) -> NDArray[np.bool_]:
        """The rows that can be read."""
        return np.array(self.readable, dtype=bool)

    @property
    def two_sided(self) -> NDArray[np.bool_]:
        """The rows that can be read and have something on both sides."""
        source, target = self.both_lengths
        both: NDArray[np.bool_] = self.can_be_read & (source > 0) & (target > 0)
        return both

    def place(self, number: int) -> str:
        """Where a row stands."""
        return f"{list(self.files)[self.file[number]]}:{self.line[number]}"


def examine(splits: Mapping[str, Iterable[Row]]) -> Diagnosis:
    """Look for faults in the splits of a data set, `train` first, each of which is gone through twice."""
    found = {name: SplitDiagnosis(name) for name in splits}
    seen = {name: _Seen() for name in splits}
    first = _FirstPass()
    for name, rows in splits.items():
        for number, row in enumerate(rows):
            first.take(row, number, found[name], seen[name], training=name == "train")
        found[name].count = len(seen[name].readable)
    sides = learn_sides(first.sample) if first.sample else None
    forms = first.forms()
    learnt_from = seen.get("train") or next(iter(seen.values()))
    lengths = learn_lengths(*(side[learnt_from.two_sided] for side in learnt_from.both_lengths))
    for name, rows in splits.items():
        second = _SecondPass(found[name], sides, lengths, forms, first.vocabularies if name != "train" else {})
        second.go(rows, seen, name)
        found[name].faults.sort(key=lambda fault: fault.row)
    return Diagnosis(found, sides is not None, forms)


class _FirstPass:
    """What each text says by itself, and what is usual in training."""

    def __init__(self) -> None:
        self.sample: list[tuple[str, str]] = []
        self.vocabularies: dict[str, Vocabulary] = {side: Vocabulary() for side in SIDES}
        self._forms: dict[Side, Counter[str]] = {side: Counter() for side in SIDES}
        self._chance = random.Random(0)
        self._offered = 0

    def take(self, row: Row, number: int, found: SplitDiagnosis, seen: _Seen, *, training: bool) -> None:
        """Look at one row."""
        readable = row.trouble is None
        seen.readable.append(readable)
        seen.file.append(seen.files.setdefault(row.file, len(seen.files)))
        seen.line.append(row.line)
        same = seen.keys.add(row.source, row.target, row.others)
        for lengths, text in zip(seen.lengths, (row.source, row.target), strict=True):
            lengths.append(len(text))
        if row.trouble is not None:
            found.add(row.trouble[0], number, row, "pair", row.trouble[1])
            return
        both = ((SIDES[0], row.source), (SIDES[1], row.target))
        for side, text in both:
            if training:
                self.vocabularies[side].add(text)
            if (written := form(text)) is not None:
                self._forms[side][written] += 1
            for kind, value in findings(text):
                found.add(kind, number, row, side, value)
            if (over := repeated(text)) is not None:
                found.add("repetition", number, row, side, over)
        bare = nothing_on_a_side(row)
        if bare is not None:
            found.add(bare[0], number, row, *bare[1:])
        elif not (same and _copied(row, number, found)) and training:
            self._offer(row)

    def forms(self) -> dict[Side, str | None]:
        """The normalization form of most texts of each side; None where it makes no difference."""
        return {
            side: max(("NFC", "NFD"), key=lambda one: counts[one]) if counts else None
            for side, counts in self._forms.items()
        }

    def _offer(self, row: Row) -> None:
        """Reservoir sampling (Vitter 1985, algorithm R): each row is as likely as any other to be in the sample."""
        pair = (row.source, row.target)
        self._offered += 1
        if len(self.sample) < LEARNT_FROM:
            self.sample.append(pair)
        elif (place := self._chance.randrange(self._offered)) < LEARNT_FROM:
            self.sample[place] = pair


def nothing_on_a_side(row: Row) -> tuple[str, Side, str] | None:
    """The fault, its side and its value, where a side has nothing on it, or nothing but marks; a source that is an image needs no text."""
    for side, text, other in ((SIDES[0], row.source, row.target), (SIDES[1], row.target, row.source)):
        if side == "source" and row.others and not text:
            continue
        if not text.strip():
            return "empty", side, f"the other side: {around(other, 0, SHOWN)}"
        if not any(map(str.isalnum, text)) and any(map(str.isalnum, other)):
            return "marks", side, around(text, 0, SHOWN)
    return None


def _copied(row: Row, number: int, found: SplitDiagnosis) -> bool:
    """Whether a row whose sides say the same is a fault: not where it is a word or two, which languages may share, or a question to an image."""
    if len(row.source.split()) < WORDS_TO_COMPARE or row.others:
        return False
    found.add("copied", number, row, "pair", around(row.target, 0, SHOWN))
    return True


def _between_rows(name: str, seen: Mapping[str, _Seen]) -> dict[tuple[str, str], NDArray[np.int64]]:
    """The faults of a split that numbers of other rows tell: by kind and the split of the other row, for each row where that is, or -1."""
    keys, readable = seen[name].keys, seen[name].can_be_read
    own = np.arange(len(readable))
    first = {"pair": first_places(keys.pairs), "near": first_places(keys.near), "source": first_places(keys.sources)}
    again = readable & (first["pair"] < own)
    near = readable & (first["near"] < own) & ~again
    source = readable & (first["source"] < own) & ~again & ~near
    found = {
        ("duplicate", name): np.where(again, first["pair"], -1),
        ("near_duplicate", name): np.where(near, first["near"], -1),
        ("several_targets", name): np.where(source, first["source"], -1),
    }
    if name == "train":
        for other in ("test", "validation"):
            if other not in seen:
                continue
            pair = np.where(readable, places_in(keys.near, seen[other].keys.near), -1)
            of_source = np.where(readable & (pair < 0), places_in(keys.sources, seen[other].keys.sources), -1)
            found["leaked_pair", other], found["leaked_source", other] = pair, of_source
    return found


class _SecondPass:
    """The rows that are named for what the first pass has learnt."""

    def __init__(
        self,
        found: SplitDiagnosis,
        sides: Sides | None,
        lengths: Lengths | None,
        forms: Mapping[Side, str | None],
        vocabularies: Mapping[str, Vocabulary],
    ) -> None:
        self.found = found
        self.sides = sides
        self.lengths = lengths
        self.forms = forms
        self.vocabularies = vocabularies
        self.found.unknown = {side: Unknown() for side in vocabularies}

    def go(self, rows: Iterable[Row], seen: Mapping[str, _Seen], name: str) -> None:
        """Go through the rows once more."""
        between = _between_rows(name, seen)
        mine = seen[name]
        times = self.lengths.outliers(*mine.both_lengths) if self.lengths else np.zeros(len(mine.readable))
        times = np.where(mine.two_sided, times, 0.0)
        told = {row for kind in ("empty", "marks", "copied") for row in self.found.rows.get(kind, ())}
        for number, row in enumerate(rows):
            if row.trouble is not None:
                continue
            for (kind, split), places in between.items():
                if places[number] >= 0:
                    self._tell_copy(kind, row, number, seen[split].place(int(places[number])))
            for side, text in ((SIDES[0], row.source), (SIDES[1], row.target)):
                if self.forms[side] is not None and form(text) not in (None, self.forms[side]):
                    self.found.add("normalization", number, row, side, f"{form(text)}: {around(text, 0, SHOWN)}")
                if side in self.vocabularies:
                    self.vocabularies[side].count_unknown(text, self.found.unknown[side])
            if number not in told:
                self._compare_sides(row, number, float(times[number]))

    def _tell_copy(self, kind: str, row: Row, number: int, other: str) -> None:
        shown = row.source if kind in ("several_targets", "leaked_source") else f"{row.source} → {row.target}"
        value = f"as in {other}: {around(shown, 0, SHOWN)}"
        self.found.add(kind, number, row, "pair" if kind.endswith(("pair", "duplicate")) else "source", value)

    def _compare_sides(self, row: Row, number: int, times: float) -> None:
        if self.sides is not None and row.source:
            wrong = self.sides.looks_like_target(row.source), self.sides.looks_like_source(row.target)
            kind = {(True, True): "swapped", (True, False): "source_language", (False, True): "target_language"}.get(
                wrong
            )
            if kind is not None:
                side: Side = {"swapped": "pair", "source_language": "source", "target_language": "target"}[kind]  # type: ignore[assignment]
                shown = {"pair": f"{row.source} → {row.target}", "source": row.source, "target": row.target}[side]
                self.found.add(kind, number, row, side, around(shown, 0, SHOWN))
        if times:
            how = f"{times:.1f} times as long as" if times > 1 else f"{1 / times:.1f} times shorter than"
            lengths = f"{len(row.source)} and {len(row.target)} characters, the target is {how} usual"
            value = f"{lengths}: {around(row.source, 0, SHOWN)} → {around(row.target, 0, SHOWN)}"
            self.found.add("length", number, row, "pair", value)
