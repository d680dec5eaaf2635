"""Where the nodes of a beam's tree stand: a column a step, the way of the best hypothesis straight along the top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Branch:
    """A node of the tree: `parent`, the number of the node before it, None at the first step; its `step` from 1; its label and the
    probability of that symbol; the `score` of the hypothesis that ends here; its `fate` as the search tells it (live, finished, cut,
    stopped, outdone or pruned); and its `place` among the hypotheses that were found, None if it is none of them."""

    parent: int | None
    step: int
    label: str
    probability: float
    score: float
    fate: str
    place: int | None


def rows_of(branches: Sequence[Branch]) -> list[int]:
    """The row of each node, from 0; lines between nodes never cross.

    A child goes on in its parent's row if it leads to the best end; the others start rows below, those that part last first, each as high as
    its columns are free.
    """
    children = _children(branches)
    rows = [0] * len(branches)
    free: dict[int, int] = {}  # the first free row of each step
    # the start of a chain of first children, and the row that it may not be above
    waiting = [(number, 0) for number in reversed(children[None])]
    while waiting:
        start, lowest = waiting.pop()
        chain = [start]
        while children.get(chain[-1]):
            chain.append(children[chain[-1]][0])
        row = max(lowest, *(free.get(branches[number].step, 0) for number in chain))
        for number in chain:
            rows[number] = row
            free[branches[number].step] = row + 1
        # those that part last are taken first, so that no line goes through them
        waiting += [(other, row + 1) for number in chain for other in reversed(children.get(number, [])[1:])]
    return rows


def best_path(branches: Sequence[Branch]) -> set[int]:
    """The nodes on the way to the best hypothesis that was found."""
    ends = [number for number, branch in enumerate(branches) if branch.place == 1]
    path: set[int] = set()
    number = ends[0] if ends else None
    while number is not None:
        path.add(number)
        number = branches[number].parent
    return path


def _children(branches: Sequence[Branch]) -> dict[int | None, list[int]]:
    """The children of each node, those that lead to the best ends first; those of None begin the tree."""
    merits = [_merit(branch) for branch in branches]
    children: dict[int | None, list[int]] = {None: []}
    for number in reversed(range(len(branches))):
        parent = branches[number].parent
        children.setdefault(parent, []).append(number)
        if parent is not None:
            merits[parent] = max(merits[parent], merits[number])
    for those in children.values():
        those.sort(key=lambda number: merits[number], reverse=True)
    return children


def _merit(branch: Branch) -> tuple[float, float]:
    """What is found comes before what is not, by its place; then what is still alive."""
    if branch.place is not None:
        return 2.0, -branch.place
    return (0.0 if branch.fate == "pruned" else 1.0), branch.score
