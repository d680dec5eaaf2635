"""The trace of a beam: by hand, on random tables against what the search gives back, and without any effect on it."""

from __future__ import annotations

import math

import pytest
import torch
from search.table import Table, from_probabilities, random_table

from seqcli.search.beam import beam_search
from seqcli.search.trace import BeamTrace, Node, path_to, trace_as_json
from seqcli.symbols import EOS

A, B = 3, 4
LETTERS = {EOS: ".", A: "a", B: "b"}
WORLD = from_probabilities(
    {".": EOS, "a": A, "b": B},
    {
        "": {"a": 0.5, "b": 0.4, ".": 0.1},
        "a": {"a": 0.36, "b": 0.34, ".": 0.3},
        "b": {"a": 0.05, "b": 0.05, ".": 0.9},
        "aa": {".": 0.8, "a": 0.1, "b": 0.1},
        "ab": {".": 0.6, "a": 0.3, "b": 0.1},
    },
)


def spelt(nodes: list[Node], number: int) -> str:
    return "".join(LETTERS[node.id] for node in path_to(nodes, number))


def test_a_beam_of_two_by_hand() -> None:
    # 1: a .5 and b .4 live on, "." .1 is third: pruned
    # 2: b. .36 finishes; aa .18 and ab .17 live on; a. .15 is the fourth: pruned
    # 3: aa. .144 and ab. .102 finish; the third and fourth best, aba .051 and one of aaa and aab .018, live when the search has enough
    table, trace = Table(WORLD), BeamTrace()
    beam_search(table.step, table.start(1), [9], beam_size=2, length_penalty=0.0, trace=trace)
    nodes = trace.nodes()
    told = [(spelt(nodes, node.number), node.fate, round(math.exp(node.log_prob), 3), node.place) for node in nodes]
    assert told[:9] == [
        ("a", "live", 0.5, None),
        ("b", "live", 0.4, None),
        (".", "pruned", 0.1, None),
        ("b.", "finished", 0.36, 1),
        ("aa", "live", 0.18, None),
        ("ab", "live", 0.17, None),
        ("a.", "pruned", 0.15, None),
        ("aa.", "finished", 0.144, 2),
        ("ab.", "finished", 0.102, None),
    ]
    assert told[9] == ("aba", "stopped", 0.051, None)
    assert [node.rank for node in nodes] == [1, 2, 3, 1, 2, 3, 4, 1, 2, 3, 4]
    assert nodes[3].step_log_prob == pytest.approx(math.log(0.9))


def test_the_length_runs_out() -> None:
    table, trace = Table(WORLD), BeamTrace()
    beam_search(table.step, table.start(1), [1], beam_size=2, trace=trace)
    assert [(spelt(trace.nodes(), node.number), node.fate, node.place) for node in trace.nodes()] == [
        ("a", "cut", 1),
        ("b", "cut", 2),
        (".", "pruned", None),
    ]


@pytest.mark.parametrize("beam_size", [1, 2, 4])
def test_the_tree_holds_what_is_given_back_and_changes_nothing(beam_size: int) -> None:
    limits = [6, 0, 3, 9]
    table, trace = Table(random_table(beam_size, 7)), BeamTrace()
    traced = beam_search(table.step, table.start(4), limits, beam_size=beam_size, length_penalty=0.7, trace=trace)
    plain_table = Table(random_table(beam_size, 7))
    plain = beam_search(plain_table.step, plain_table.start(4), limits, beam_size=beam_size, length_penalty=0.7)
    assert torch.equal(traced.ids, plain.ids)
    assert torch.equal(traced.scores, plain.scores)
    assert trace.nodes(1) == []
    compared = 0
    for sentence in (0, 2, 3):
        nodes = trace.nodes(sentence)
        assert [node.number for node in nodes] == list(range(len(nodes)))
        for node in (node for node in nodes if node.place is not None):
            column = node.place - 1
            length = int(traced.lengths[sentence, column])
            assert [one.id for one in path_to(nodes, node.number)] == traced.ids[sentence, column, :length].tolist()
            assert node.score == pytest.approx(float(traced.scores[sentence, column]))
            assert node.log_prob == pytest.approx(sum(one.step_log_prob for one in path_to(nodes, node.number)))
            compared += 1
        assert sum(node.place is not None for node in nodes) == int((traced.lengths[sentence] > 0).sum())
        going_on = {node.parent for node in nodes} - {None}
        assert all((node.fate == "live") == (node.number in going_on) for node in nodes)
    assert compared >= 3


def test_as_json() -> None:
    table, trace = Table(WORLD), BeamTrace()
    beam_search(table.step, table.start(1), [1], trace=trace)
    records = trace_as_json(trace.nodes(), [LETTERS[node.id] for node in trace.nodes()])
    assert records[0]["token"] == "a"
    assert records[0]["parent"] is None
    assert records[0]["fate"] == "cut"
