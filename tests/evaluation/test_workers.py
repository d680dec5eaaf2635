"""Threads that do pieces side by side: in order, whatever happens, and without a trace in torch's own number of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from evaluation.zoo_translators import examples_for, translator_of
from models.zoo import models_with

from seqcli.evaluation.reader import SearchSettings
from seqcli.evaluation.workers import in_threads

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_pieces_come_in_order_each_from_a_thread_of_its_own() -> None:
    together = threading.Barrier(2, timeout=20)
    seen: set[int] = set()

    def work(piece: int) -> int:
        together.wait()
        seen.add(threading.get_ident())
        assert torch.get_num_threads() == 1
        return piece * piece

    assert list(in_threads(work, range(6), CPU)) == [(piece, piece * piece) for piece in range(6)]
    assert len(seen) == 2
    assert threading.get_ident() not in seen
    assert torch.get_num_threads() == 2


def test_one_piece_gets_all_threads() -> None:
    assert list(in_threads(lambda _: torch.get_num_threads(), [0], CPU)) == [(0, 2)]


def test_a_failure_ends_it_and_the_rest_is_left_undone() -> None:
    done: list[int] = []

    def work(piece: int) -> None:
        done.append(piece)
        raise ValueError(piece)

    with pytest.raises(ValueError, match="0"):
        list(in_threads(work, range(1000), CPU))
    assert len(done) < 1000
    assert torch.get_num_threads() == 2


def test_how_many_threads_there_are_changes_no_translation() -> None:
    settings = SearchSettings(3, 1.0, 9, 3.0, 1)
    for specimen in models_with("transformer")[:4]:
        translator = translator_of(specimen)
        examples = examples_for(translator)
        told: dict[int, int] = {}
        side = translator.translate(examples, settings, told.__setitem__)
        torch.set_num_threads(1)
        assert translator.translate(examples, settings) == side
        torch.set_num_threads(2)
        assert max(told) == max(told.values()) > 0
