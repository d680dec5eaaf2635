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
Pairs = Callable[[int, random.Random], Batch]
"""So many fresh pairs."""

TASKS: dict[str, Callable[[Letters], Letters]] = {
    "copy": lambda letters: letters,
    "reverse": lambda letters: letters[::-1],
    "sort": sorted,
}
ALPHABET = 6
VOCABULARY = len(SPECIAL) + ALPHABET
SQUARE = 4
"""Pixels of a square's side."""


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


CONV = {"kind": "conv", "hidden_size": 32, "channels": [16, 32]}
PATCH = {"kind": "patch", "hidden_size": 32, "patch_size": 4, "layers": 1, "heads": 2, "feedforward_size": 64}
TEXT = {"kind": "gru", "hidden_size": 32, "embedding_size": 16}
QUICK = [
    ("copy", gru("additive", order="bahdanau"), (1, 6)),
    ("reverse", LSTM_WITHOUT_ATTENTION, (1, 4)),
    ("copy", feedforward(window=5), (4, 4)),
]
LONG = [
    ("sort", transformer(), (1, 4)),
    *[("reverse", gru(score), (1, 10)) for score in ("dot", "scaled_dot", "multiplicative", "additive", "content")],
    ("reverse", gru("multiplicative", input_feeding=True), (1, 10)),
    ("sort", gru("additive", order="bahdanau"), (1, 8)),
    ("sort", LSTM_WITHOUT_ATTENTION, (1, 5)),
    *[
        ("reverse", transformer(positions=positions), (1, 8))
        for positions in ("sinusoidal", "learned", "rotary", "relative")
    ],
    *[("copy", transformer(norm=norm), (1, 8)) for norm in ("pre", "post")],
]


def sentences(count: int, lengths: tuple[int, int], draw: random.Random) -> list[Letters]:
    return [[draw.randrange(len(SPECIAL), VOCABULARY) for _ in range(draw.randint(*lengths))] for _ in range(count)]


def batch(sources: list[Letters], targets: list[Letters], image: torch.Tensor | None = None) -> Batch:
    def rectangle(rows: list[Letters]) -> torch.Tensor:
        longest = max(map(len, rows))
        return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows])

    source = rectangle([[*letters, EOS] for letters in sources])
    target = rectangle([[BOS, *letters, EOS] for letters in targets])
    return Batch(source, source != PAD, target, torch.arange(len(sources)), image)


def pairs_of(task: Callable[[Letters], Letters], lengths: tuple[int, int]) -> Pairs:
    """Sentences, and what the task makes of them."""

    def drawn(count: int, draw: random.Random) -> Batch:
        sources = sentences(count, lengths, draw)
        return batch(sources, [task(letters) for letters in sources])

    return drawn


def squares(rows: list[Letters]) -> torch.Tensor:
    """A picture (3,8,16) for each row of 8 letters: 2 × 4 squares, each in the letter's colour, a little darker or lighter."""
    codes = torch.tensor(rows) - len(SPECIAL) + 1
    colours = torch.stack([(codes >> bit & 1) * 2.0 - 1.0 for bit in range(3)], dim=1).view(-1, 3, 2, 4)
    picture = colours.repeat_interleave(SQUARE, dim=2).repeat_interleave(SQUARE, dim=3)
    return picture * (0.6 + 0.4 * torch.rand_like(picture))


def read_out(count: int, draw: random.Random) -> Batch:
    """The colours of the squares, row by row."""
    rows = sentences(count, (8, 8), draw)
    return batch([[]] * count, rows, squares(rows))


def pointed_at(count: int, draw: random.Random) -> Batch:
    """A row and a column as two letters, and the colours of the square there and of the one that is as far from the other end."""
    rows, places = sentences(count, (8, 8), draw), [draw.randrange(8) for _ in range(count)]
    questions = [[len(SPECIAL) + place // 4, len(SPECIAL) + 2 + place % 4] for place in places]
    return batch(
        questions, [[row[place], row[7 - place]] for row, place in zip(rows, places, strict=True)], squares(rows)
    )


LOOKING = [
    (read_out, {**gru("additive", order="bahdanau"), "encoder": CONV}),
    (read_out, {**transformer(), "encoder": PATCH}),
    (pointed_at, {**gru("additive"), "encoder": {"kind": "image_text", "image": PATCH, "text": TEXT}}),
]


@torch.no_grad()
def share_right(model: Seq2Seq, given: Batch) -> float:
    model.eval()
    longest = given.labels.shape[1]
    start = model.start(given)
    written = beam_search(model.step, start, [longest + 2] * len(given.source)).ids[:, 0]
    wanted = torch.nn.functional.pad(given.labels, (0, max(0, written.shape[1] - longest)))
    written = torch.nn.functional.pad(written, (0, wanted.shape[1] - written.shape[1]))
    return float((written == wanted).all(dim=1).float().mean())


def learn(keys: dict[str, Any], pairs: Pairs, limit: int, starts: int = 1) -> None:
    """Train on fresh pairs, at most `limit` steps, until 300 others are all answered right; from another start, if there are more, where
    it has not come half of the way in half of the steps."""
    seed = int(os.environ.get("SEQCLI_TEST_SEED", random.SystemRandom().randrange(2**31)))
    print(f"SEQCLI_TEST_SEED={seed}")
    right = 0.0
    for start in range(starts):
        right = learnt(keys, pairs, limit, seed + start, patient=start == starts - 1)
        if right == 1.0:
            return
    pytest.fail(f"only {right:.1%} right after {limit} steps with SEQCLI_TEST_SEED={seed}")


def learnt(keys: dict[str, Any], pairs: Pairs, limit: int, seed: int, *, patient: bool) -> float:
    """The share that is right at the end, or, without patience, after half of the steps, if it is less than a half."""
    torch.manual_seed(seed)
    draw = random.Random(seed)
    section = Model.model_validate({**keys, "dropout": 0.0})
    model = build_model(section, VOCABULARY, VOCABULARY, image_shape=(3, 2 * SQUARE, 4 * SQUARE))
    optimizer = Adam(model.named_parameters(), betas=(0.9, 0.98), epsilon=1e-9, weight_decay=0.0, decoupled=True)
    objective = Objective(label_smoothing=0.0, clip_norm=1.0, teacher_forcing=1.0, accumulation=1)
    test = pairs(300, draw)
    right = share_right(model, test)
    assert right < 0.1, "nothing is left to learn"
    for step in range(1, limit + 1):
        rate = 4e-3 * min(1.0, step / 30, 1.2 - step / limit)
        train_step(model, optimizer, rate, [pairs(64, draw)], objective)
        if step % 50 == 0:
            right = share_right(model, test)
            if right == 1.0:
                print(f"learnt in {step} steps")
                break
            if step >= limit / 2 and right < 0.5 and not patient:
                break
    return right


def named(cases: list[tuple[str, dict[str, Any], tuple[int, int]]]) -> list[Any]:
    return [
        pytest.param(*case, id=f"{case[0]}-{case[1]['encoder']['kind']}-{number}") for number, case in enumerate(cases)
    ]


@pytest.mark.parametrize(("task", "keys", "lengths"), named(QUICK))
def test_learnt_in_seconds(task: str, keys: dict[str, Any], lengths: tuple[int, int]) -> None:
    learn(keys, pairs_of(TASKS[task], lengths), limit=1500)


@pytest.mark.parametrize(
    ("pairs", "keys"),
    [
        pytest.param(*looking, id=name, marks=[] if name == "conv" else pytest.mark.real)
        for name, looking in zip(("conv", "patch", "image_text"), LOOKING, strict=True)
    ],
)
def test_pictures_are_read_in_seconds(pairs: Pairs, keys: dict[str, Any]) -> None:
    # whether a question's words find their place in a picture is also a matter of the start: of some, one must do it
    learn(keys, pairs, limit=3000, starts=4)


@pytest.mark.real
@pytest.mark.parametrize(("task", "keys", "lengths"), named(LONG))
def test_learnt_in_a_minute(task: str, keys: dict[str, Any], lengths: tuple[int, int]) -> None:
    learn(keys, pairs_of(TASKS[task], lengths), limit=4000)
