"""Several data sets as one that one model learns: the tag that says which of them a source is of, and how often the small ones are seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from seqcli.data.batching import Rows
from seqcli.data.corpus import Corpus
from seqcli.errors import DataError
from seqcli.symbols import Example


def task_tag(task: str) -> str:
    """The symbol that the sources of a task begin with (Johnson et al. 2017, "Google's multilingual neural machine translation system:
    enabling zero-shot translation", section 3, where it is `<2es>`)."""
    return f"<{task}>"


def joined(corpora: Mapping[str, Corpus]) -> Corpus:
    """The corpora of several tasks, one after the other: each source has the tag of its task before all other features, and each example's
    task is its group."""

    def read() -> Iterator[Example]:
        index = 0
        for task, corpus in corpora.items():
            for example in corpus.read():
                yield replace(example, features=(task_tag(task), *example.features), group=task, index=index)
                index += 1

    def digest() -> str:
        return f"tasks {[(task, corpus.digest()) for task, corpus in corpora.items()]}"

    return Corpus(", ".join(corpus.name for corpus in corpora.values()), read, digest)


def repetitions(sizes: Mapping[str, int], temperature: float) -> dict[str, float]:
    """How often each example of a task is seen in an epoch, given how many the tasks have: those of the largest once, those of the others so
    often that a task's share goes with its size to the power 1 / temperature (Arivazhagan et al. 2019, "Massively multilingual neural machine
    translation in the wild", section 4.2)."""
    largest = max(sizes.values(), default=0)
    return {task: (largest / size) ** (1 - 1 / temperature) for task, size in sizes.items() if size}


def repeated(rows: Rows, tasks: NDArray[np.int32], times: Sequence[float], *, seed: int, epoch: int) -> Rows:
    """The rows of an epoch, in ascending order: each row of the task `tasks[row]` (N,) as often as `times` (K,) says.

    Of a number of times that is not whole, the rest falls to rows that are drawn anew in each epoch, from seed and epoch alone: the plan of an
    epoch is theirs, so that a resumed run sees what it would have seen.
    """
    random = np.random.Generator(np.random.PCG64([seed, epoch, len(times)]))
    of_rows = tasks[rows]
    found = []
    for task, often in enumerate(times):
        own = rows[of_rows == task]
        whole = int(often)
        rest = round(len(own) * (often - whole))
        found += [np.repeat(own, whole), random.permutation(own)[:rest]]
    return np.sort(np.concatenate([rows[:0], *found]))


@dataclass(frozen=True)
class Tagging:
    """Which tags stand before the sources of a run.

    `separator` is what stands between two feature tags, None where sources have none. Where the run has `tasks`, a source has the tag of its
    own first, and each task has a separator of its own, or None.
    """

    separator: str | None = None
    tasks: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def has_features(self) -> bool:
        """Whether any source has feature tags beside its task."""
        return self.separator is not None or any(separator is not None for separator in self.tasks.values())

    def separator_of(self, task: str | None, origin: str) -> str | None:
        """What stands between the feature tags of a source of this task. Raises `DataError`, in which `origin` says where, for a task that there
        is not, or for none where there are some."""
        if task is None and not self.tasks:
            return self.separator
        if task is not None and task in self.tasks:
            return self.tasks[task]
        there = f"there are {', '.join(self.tasks)}" if self.tasks else "this run has no tasks"
        if task is None:
            raise DataError(
                f"{origin}: it is not said which task this is (--task, or the field task of a line of JSON); {there}"
            )
        raise DataError(f"{origin}: there is no task {task!r}; {there}")

    def check(self, task: str | None) -> None:
        """Raise `DataError` for a task that there is not; None is none that is named."""
        if task is not None:
            self.separator_of(task, "--task")

    def tags(self, given: str | Sequence[str], task: str | None, origin: str) -> tuple[str, ...]:
        """The tags before a source: its task's, and the feature tags that are given, as a list or as a text with separators."""
        separator = self.separator_of(task, origin)
        own = () if task is None else (task_tag(task),)
        if separator is None:
            return own
        return (*own, *(split_tags(given, separator) if isinstance(given, str) else given))

    def example(
        self, text: str, row: int, origin: str, *, task: str | None = None, target: str | None = None
    ) -> Example:
        """A text as an example; where its task has feature tags, what follows the first tab are those."""
        source, tags = text, ""
        if self.separator_of(task, origin) is not None:
            source, _, tags = text.partition("\t")
        return Example(source, target, row, origin, self.tags(tags, task, origin))


def split_tags(text: str, separator: str) -> tuple[str, ...]:
    """The tags in a text, white space around them taken off."""
    return tuple(tag for tag in map(str.strip, text.split(separator)) if tag)
