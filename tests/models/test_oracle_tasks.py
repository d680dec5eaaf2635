"""Tasks whose answer is known, learnt until every fresh sentence is answered right.

The seed is drawn anew for each run and printed; SEQCLI_TEST_SEED=… repeats one.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from seqcli.build.model import build_model
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.model import Model
from seqcli.search.beam import beam_search
from seqcli.symbols import BOS, EOS, PAD, SPECIAL
from seqcli.training.optim import Adam
from seqcli.training.step import Objective, train_step
from seqcli.types import Batch

Letters = list[int]

TASKS: dict[str, Callable[[Letters], Letters]] = {
    "copy": lambda letters: letters,
    "reverse": lambda letters: letters[::-1],
    "sort": sorted,
}
ALPHABET = 6
VOCABULARY = len(SPECIAL) + ALPHABET


def gru(attention: str, **keys: Any) -> dict[str, Any]:
    return {
        "encoder": {"kind": "gru", "hidden_size": 32, "embedding_size": 16, "bidirectional": True},
        "decoder": {
            "kind": "gru",
            "hidden_size": 64,
            "embedding_size": 16,
            "attention": {"kind": attention},
            **keys,
        },
    }


LSTM_WITHOUT_ATTENTION = {
    "encoder": {"kind": "lstm", "hidden_size": 96, "embedding_size": 16},
    "decoder": {
        "kind": "lstm",
        "hidden_size": 96,
        "embedding_size": 16,
        "attention": {"kind": "none"},
        "bridge": "copy",
    },
}


def transformer(**keys: Any) -> dict[str, Any]:
    stack = {"kind": "transformer", "hidden_size": 32, "layers": 2, "heads": 2, "feedforward_size": 64, **keys}
    return {"encoder": stack, "decoder": stack}


def feedforward(window: int) -> dict[str, Any]:
    side = {"kind": "feedforward", "window": window, "hidden_size": 96, "activation": "relu"}
    return {"encoder": {**side, "embedding_size": 16}, "decoder": side}


QUICK = [
    ("copy", gru("additive", order="bahdanau"), (1, 6)),
    ("reverse", LSTM_WITHOUT_ATTENTION, (1, 4)),
    ("sort", transformer(), (1, 4)),
    ("copy", feedforward(window=5), (4, 4)),
]
LONG = [
    *[("reverse", gru(score), (1, 10)) for score in ("dot", "scaled_dot", "multiplicative", "additive", "content")],
    ("reverse", gru("multiplicative", input_feeding=True), (1, 10)),
    ("sort", gru("additive", order="bahdanau"), (1, 8)),
    ("sort", LSTM_WITHOUT_ATTENTION, (1, 5)),
    *[("reverse", transformer(positions=positions), (1, 8)) for positions in ("sinusoidal", "learned", "rotary")],
    *[("copy", transformer(norm=norm), (1, 8)) for norm in ("pre", "post")],
]


def sentences(count: int, lengths: tuple[int, int], draw: random.Random) -> list[Letters]:
    return [[draw.randrange(len(SPECIAL), VOCABULARY) for _ in range(draw.randint(*lengths))] for _ in range(count)]


def batch(sources: list[Letters], task: Callable[[Letters], Letters]) -> Batch:
    def rectangle(rows: list[Letters]) -> torch.Tensor:
        longest = max(map(len, rows))
        return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows])

    source = rectangle([[*letters, EOS] for letters in sources])
    target = rectangle([[BOS, *task(letters), EOS] for letters in sources])
    return Batch(source, source != PAD, target, torch.arange(len(sources)))


@torch.no_grad()
def share_right(model: Seq2Seq, given: Batch) -> float:
    model.eval()
    longest = given.labels.shape[1]
    start = model.start(given)
    written = beam_search(model.step, start, [longest + 2] * len(given.source)).ids[:, 0]
    wanted = torch.nn.functional.pad(given.labels, (0, max(0, written.shape[1] - longest)))
    written = torch.nn.functional.pad(written, (0, wanted.shape[1] - written.shape[1]))
    return float((written == wanted).all(dim=1).float().mean())


def learn(keys: dict[str, Any], task: Callable[[Letters], Letters], lengths: tuple[int, int], limit: int) -> None:
    """Train on fresh sentences, at most `limit` steps, until 300 others are all answered right."""
    seed = int(os.environ.get("SEQCLI_TEST_SEED", random.SystemRandom().randrange(2**31)))
    print(f"SEQCLI_TEST_SEED={seed}")
    torch.manual_seed(seed)
    draw = random.Random(seed)
    model = build_model(Model.model_validate({**keys, "dropout": 0.0}), VOCABULARY, VOCABULARY)
    optimizer = Adam(model.named_parameters(), betas=(0.9, 0.98), epsilon=1e-9, weight_decay=0.0, decoupled=True)
    objective = Objective(label_smoothing=0.0, clip_norm=1.0, teacher_forcing=1.0, accumulation=1)
    test = batch(sentences(300, lengths, draw), task)
    right = share_right(model, test)
    assert right < 0.1, "nothing is left to learn"
    for step in range(1, limit + 1):
        rate = 4e-3 * min(1.0, step / 30, 1.2 - step / limit)
        train_step(model, optimizer, rate, [batch(sentences(64, lengths, draw), task)], objective)
        if step % 50 == 0:
            right = share_right(model, test)
            if right == 1.0:
                print(f"learnt in {step} steps")
                return
    pytest.fail(f"only {right:.1%} right after {limit} steps with SEQCLI_TEST_SEED={seed}")


def named(cases: list[tuple[str, dict[str, Any], tuple[int, int]]]) -> list[Any]:
    return [
        pytest.param(*case, id=f"{case[0]}-{case[1]['encoder']['kind']}-{number}") for number, case in enumerate(cases)
    ]


@pytest.mark.parametrize(("task", "keys", "lengths"), named(QUICK))
def test_learnt_in_seconds(task: str, keys: dict[str, Any], lengths: tuple[int, int]) -> None:
    learn(keys, TASKS[task], lengths, limit=1500)


@pytest.mark.real
@pytest.mark.parametrize(("task", "keys", "lengths"), named(LONG))
def test_learnt_in_a_minute(task: str, keys: dict[str, Any], lengths: tuple[int, int]) -> None:
    learn(keys, TASKS[task], lengths, limit=4000)
