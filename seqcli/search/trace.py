"""What a beam search considered: every hypothesis with its score, those that lived on and those that were pruned, as a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from seqcli.search.hypotheses import Extensions
from seqcli.search.penalties import LengthPenalty

Fate = Literal["live", "finished", "cut", "stopped", "outdone", "pruned"]
"""What became of a hypothesis: it was kept, and some of its extensions were considered; it ended in EOS; it was taken without EOS, since the
length had run out; it was live when the search had finished enough others; it was kept, but none of its extensions came near the best; it was among
the best extensions of its step, and not among those kept."""


@dataclass(frozen=True)
class Node:
    """A hypothesis that was considered: `parent`, the number of the one it extends (None for the empty one), by the symbol `id`, as the
    `step`-th symbol, from 1.

    `step_log_prob` is the symbol's log-probability, `log_prob` the sum from the start, `score` what a `LengthPenalty` makes, at this length, of what
    the search orders by; a coverage penalty, which finished hypotheses have too, is not in it. `rank` is its place, from 1, among the extensions of
    its step, and `place` that among the finished hypotheses that the search gives back, None where it is not one of them.
    """

    number: int
    parent: int | None
    step: int
    id: int
    step_log_prob: float
    log_prob: float
    score: float
    rank: int
    fate: Fate
    place: int | None = None


class BeamTrace:
    """Written by `beam_search` where it is given one: for each sentence, by its row in the batch, the nodes of its tree, step by step.

    Of each step the tree has the 2K best extensions: those that end among the first K, the K best that go on, and the rest, pruned.
    """

    def __init__(self) -> None:
        self._nodes: dict[int, list[Node]] = {}
        self._beams: dict[int, dict[int, int]] = {}  # the number of a sentence's live hypothesis in each row

    def nodes(self, sentence: int = 0) -> list[Node]:
        """The tree of a sentence; a parent stands before its children. Empty where nothing was searched for."""
        return self._nodes.get(sentence, [])

    def add_step(
        self,
        sentence: int,
        extensions: Extensions,
        ended: Sequence[int],
        kept: Mapping[int, int],
        scoring: LengthPenalty,
        most: int,
    ) -> None:
        """Take in one step of a sentence: its `extensions`, best first, the places among them of those that `ended`, and of those `kept` alive,
        by their row in the next step. Of the rest the tree has those among the first `most`."""
        nodes, beam = self._nodes.setdefault(sentence, []), self._beams.get(sentence)
        step = 1 if beam is None else nodes[next(iter(beam.values()))].step + 1
        alive, finished = set(kept.values()), set(ended)
        numbers: dict[int, int] = {}
        for rank, (total, parent, symbol, log_prob) in enumerate(zip(*extensions, strict=True)):
            # an impossible one only fills its place
            if total == float("-inf") or not (rank < most or rank in alive or rank in finished):
                continue
            above = None if beam is None else nodes[beam[parent]]
            fate: Fate = "finished" if rank in finished else "live" if rank in alive else "pruned"
            numbers[rank] = len(nodes)
            nodes.append(
                Node(
                    len(nodes),
                    None if above is None else above.number,
                    step,
                    symbol,
                    log_prob - (0.0 if above is None else above.log_prob),
                    log_prob,
                    scoring.score(total, step),
                    rank + 1,
                    fate,
                )
            )
        self._beams[sentence] = {row: numbers[place] for row, place in kept.items()}

    def rename(self, symbols: Sequence[int]) -> None:
        """Take the ids of all nodes for places among these symbols."""
        for nodes in self._nodes.values():
            nodes[:] = [replace(node, id=symbols[node.id]) for node in nodes]

    def end(self, sentence: int, found: Sequence[Sequence[int]]) -> None:
        """Take in what the search gives back for a sentence: the ids of its hypotheses, best first."""
        nodes = self._nodes.get(sentence, [])
        places = {tuple(ids): place for place, ids in enumerate(found, start=1)}
        parents, last = {node.parent for node in nodes}, nodes[-1].step if nodes else 0
        paths: list[tuple[int, ...]] = []
        for node in nodes:
            paths.append((*(() if node.parent is None else paths[node.parent]), node.id))
            # a pruned hypothesis is never given back, and one that went on is only where the length ran out
            place = None if node.fate == "pruned" or node.number in parents else places.get(paths[-1])
            fate = node.fate
            if fate == "live" and node.number not in parents:
                fate = "outdone" if node.step < last else "stopped" if place is None else "cut"
            nodes[node.number] = replace(node, fate=fate, place=place)


def path_to(nodes: Sequence[Node], number: int) -> list[Node]:
    """The nodes from the first symbol to node `number`."""
    path: list[Node] = []
    place: int | None = number
    while place is not None:
        path.append(nodes[place])
        place = nodes[place].parent
    return path[::-1]


def trace_as_json(nodes: Sequence[Node], tokens: Sequence[str]) -> list[dict[str, object]]:
    """The tree as records, one a node, with the token (given for each node) that its symbol stands for."""
    return [{"token": token, **vars(node)} for node, token in zip(nodes, tokens, strict=True)]
