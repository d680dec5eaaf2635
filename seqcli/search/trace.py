"""What a beam search considered: every hypothesis with its score, those that lived on and those that were pruned, as a tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from seqcli.symbols import EOS

Fate = Literal["live", "finished", "cut", "stopped", "outdone", "pruned"]
"""What became of a hypothesis: it was kept, and some of its extensions were considered; it ended in EOS; it was taken without EOS, since the
length had run out; it was live when the search had finished enough others; it was kept, but none of its extensions came near the best; it was among
the best extensions of its step, and not among those kept."""


@dataclass(frozen=True)
class Node:
    """A hypothesis that was considered: `parent`, the number of the one it extends (None for the empty one), by the symbol `id`, as the
    `step`-th symbol, from 1.

    `step_log_prob` is the symbol's log-probability, `log_prob` the sum from the start, `score` what finished hypotheses are
    ordered by: log_prob / step^length_penalty. `rank` is its place, from 1, among the extensions of its step, and `place` that among the finished
    hypotheses that the search gives back, None where it is not one of them.
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
        self._beams: dict[int, list[int]] = {}  # the numbers of a sentence's live hypotheses, in the search's order

    def nodes(self, sentence: int = 0) -> list[Node]:
        """The tree of a sentence; a parent stands before its children. Empty where nothing was searched for."""
        return self._nodes.get(sentence, [])

    def add_step(
        self,
        sentences: Sequence[int],
        extensions: tuple[Tensor, Tensor, Tensor],
        kept: Tensor,
        beam_size: int,
        length_penalty: float,
    ) -> None:
        """Take in one step: of each live sentence its best `extensions` as (totals, parents, symbols), (A,C) each, and the places of
        those `kept` alive (A,K), best first."""
        columns = zip(*(column.tolist() for column in (*extensions, kept)), strict=True)
        for sentence, (totals, parents, symbols, alive) in zip(sentences, columns, strict=True):
            self._extend(sentence, list(zip(totals, parents, symbols, strict=True)), alive, beam_size, length_penalty)

    def _extend(
        self,
        sentence: int,
        extensions: list[tuple[float, int, int]],
        alive: list[int],
        beam_size: int,
        length_penalty: float,
    ) -> None:
        nodes, beam = self._nodes.setdefault(sentence, []), self._beams.get(sentence)
        step = 1 if beam is None else nodes[beam[0]].step + 1
        numbers: dict[int, int] = {}
        for rank, (total, parent, symbol) in enumerate(extensions):
            if total == float("-inf"):  # an impossible one, which only fills its place
                continue
            above = None if beam is None else nodes[beam[parent]]
            fate: Fate = "live" if rank in alive else "pruned"
            if symbol == EOS:
                fate = "finished" if rank < beam_size else "pruned"
            numbers[rank] = len(nodes)
            nodes.append(
                Node(
                    len(nodes),
                    None if above is None else above.number,
                    step,
                    symbol,
                    total - (0.0 if above is None else above.log_prob),
                    total,
                    total / step**length_penalty,
                    rank + 1,
                    fate,
                )
            )
        self._beams[sentence] = [numbers[rank] for rank in alive if rank in numbers and extensions[rank][2] != EOS]

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
