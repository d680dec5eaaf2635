"""Batches made a step ahead: their order, how far ahead, what becomes of errors and of the thread, and that nothing else changes."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch
from training.miniature import FOR_EVER, PLAIN, SMALLEST, Run, load, no_validation, plan

from seqcli.training import loop
from seqcli.training.loop import Rows, fit
from seqcli.training.prefetch import one_ahead
from seqcli.training.schedule import constant
from seqcli.training.team import Team
from seqcli.types import Batch


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def steps(run: Run, how: object, limits: loop.Limits = FOR_EVER, team: Team | None = None) -> Iterator[object]:
    """A run whose batches are loaded by `how`, which says something after each step."""
    limits = replace(limits, log_every=1)
    rest = (limits, PLAIN, no_validation())
    return fit(run.model, run.optimizer, constant(), 0.01, plan, how, run.position, *rest, team=team)  # type: ignore[arg-type]


def one_epoch() -> Iterator[tuple[list[np.ndarray], int, bool]]:
    limits = replace(FOR_EVER, epochs=1)
    return loop._planned(plan, Run(SMALLEST, seed=1).position, limits, 1)  # type: ignore[return-value]


def test_in_order_one_ahead_and_in_one_thread() -> None:
    made: list[int] = []
    makers: set[int] = set()
    waiting = threading.Semaphore(0)

    def make(item: int) -> int:
        made.append(item)
        makers.add(threading.get_ident())
        waiting.release()
        return item * item

    with closing(one_ahead(make, range(9))) as results:
        for place in range(3):
            assert next(results) == place * place
            while len(made) < place + 2:  # the next one is made though nobody asks for it
                assert waiting.acquire(timeout=10)
            assert made == list(range(place + 2))
        assert len(threads()) == 1
    assert threads() == []
    assert made == [0, 1, 2, 3]
    assert len(makers) == 1
    assert threading.get_ident() not in makers
    assert list(one_ahead(lambda item: item * item, range(9))) == [item * item for item in range(9)]
    assert list(one_ahead(make, [])) == []


def test_the_thread_computes_with_one_of_torchs_threads_and_the_rest_keep_theirs() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with closing(one_ahead(lambda _: torch.get_num_threads(), range(3))) as results:
            assert next(results) == 1
            assert torch.get_num_threads() == 2
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert later == [2]
    finally:
        torch.set_num_threads(before)


class Unreadable(Exception):
    pass


def test_an_error_in_loading_is_raised_in_its_turn_as_it_is() -> None:
    """Of the third batch: two steps are taken, and the traceback names the function that failed."""
    loaded: list[int] = []

    def broken(rows: Rows, epoch: int) -> Batch:
        loaded.append(int(rows[0]))
        if len(loaded) == 3:
            raise Unreadable("line 7")
        return load(rows, epoch)

    run = Run(SMALLEST, seed=1)
    with pytest.raises(Unreadable, match="line 7") as caught:
        list(steps(run, broken))
    assert run.position.step == 2
    assert "broken" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert threads() == []


@pytest.mark.parametrize("how", ["closed", "interrupted", "finished"])
def test_no_thread_is_left(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(SMALLEST, seed=1)
    training = steps(run, load, replace(FOR_EVER, steps=3))
    next(training)
    assert len(threads()) == 1
    if how == "closed":
        training.close()  # type: ignore[attr-defined]
    elif how == "interrupted":

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(loop, "train_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(training)
    else:
        list(training)
    assert threads() == []


def test_a_limit_within_an_epoch_loads_at_most_one_batch_more() -> None:
    loaded: list[list[int]] = []

    def counted(rows: Rows, epoch: int) -> Batch:
        loaded.append(rows.tolist())
        return load(rows, epoch)

    list(steps(Run(SMALLEST, seed=1), counted, replace(FOR_EVER, steps=7)))
    planned = [rows.tolist() for epoch in (0, 1) for rows in plan(epoch)]
    assert 7 <= len(loaded) <= 8
    assert loaded == planned[: len(loaded)]


def test_a_team_shares_what_is_loaded_ahead() -> None:
    """Each of two processes gets every other row, and in an epoch of its own order all of its batches."""
    for rank in (0, 1):
        team = Team(rank, 2)
        loaded, ends = zip(*(loop._load_group(load, team, False, one) for one in one_epoch()), strict=True)
        assert [group[0].index.tolist() for group in loaded] == [rows[rank::2].tolist() for rows in plan(0)]
        assert ends == (False, False, False, False, True)


def test_the_run_is_that_of_batches_made_when_they_are_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, with dropout, accumulation and several epochs; and loading draws no random numbers."""
    bits = []
    for make in (one_ahead, map):
        with monkeypatch.context() as patch:
            if make is map:
                patch.setattr(loop, "one_ahead", lambda load, items: (load(item) for item in items))
            run = Run(SMALLEST.model_copy(update={"dropout": 0.3}), seed=1)
            run.train(replace(FOR_EVER, steps=8), no_validation(), replace(PLAIN, accumulation=2))
            bits.append(run.bits())
    assert bits[0] == bits[1]
    before = torch.get_rng_state()
    load(plan(0)[0])
    assert torch.equal(before, torch.get_rng_state())


def test_what_goes_to_a_gpu_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Source, mask, target and the places of its labels, in the thread that loads; without a GPU torch can pin nothing itself."""
    pinned: list[torch.Tensor] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor.clone()) or pinned[-1])
    ((batch, *_), _), *_ = (loop._load_group(load, Team(), True, one) for one in one_epoch())
    wanted = (batch.source, batch.source_mask, batch.target, batch.real_labels)
    assert all(any(one is tensor for tensor in pinned) for one in wanted)
