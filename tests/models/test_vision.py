"""Encoders of images: their formulas, which cell sees what, and what a decoder gets of an image and a text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from models.zoo import IMAGE, VOCABULARY, batch
from torch import Tensor, nn

from seqcli.build.model import build_model, grid_shape
from seqcli.models.seq2seq import Encoder
from seqcli.models.vision import (
    ConvEncoder,
    FeaturesEncoder,
    ImageTextEncoder,
    PatchEncoder,
    ResidualBlock,
)
from seqcli.nn.positions import LearnedGrid, SinusoidalGrid
from seqcli.nn.trace import trace_attention
from seqcli.recipe.model import Model
from seqcli.types import Batch, Memory

GRU: dict[str, Any] = {"kind": "gru", "hidden_size": 16, "embedding_size": 12}
NOWHERE = nn.Identity()


def encoder_of(keys: dict[str, Any], image_shape: tuple[int, ...]) -> tuple[Encoder, Model]:
    section = Model.model_validate({"encoder": keys, "decoder": GRU})
    torch.manual_seed(1)
    return build_model(section, VOCABULARY, VOCABULARY, image_shape=image_shape).eval().encoder, section


def looking_at(image: Tensor) -> Batch:
    ids = torch.full((len(image), 1), 2)
    return Batch(ids, ids == 2, None, torch.arange(len(image)), image)


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(3, 16, 2), (16, 16, 2), (16, 24, 1), (16, 16, 1)])
def test_a_residual_block(inputs: int, outputs: int, stride: int) -> None:
    """Two convolutions, each with its norm over the channels of each place, and the way past them: itself where the shapes agree, else a
    convolution of 1 × 1 and a norm."""
    torch.manual_seed(1)
    block, features = ResidualBlock(inputs, outputs, stride), torch.randn(2, inputs, 7, 6)
    alike = stride == 1 and inputs == outputs
    # a block that lets x through unchanged does nothing else at first
    assert torch.equal(block(features.relu()), features.relu()) == alike
    nn.init.normal_(block.first_norm.weight)
    nn.init.normal_(block.second_norm.weight)
    nn.init.normal_(block.second_norm.bias)
    weights = dict(block.named_parameters())

    def normalised(maps: Tensor, name: str) -> Tensor:
        mean = maps.mean(dim=1, keepdim=True)
        variance = maps.var(dim=1, keepdim=True, unbiased=False)
        standard = (maps - mean) / (variance + 1e-5).sqrt()
        return standard * weights[f"{name}.weight"][:, None, None] + weights[f"{name}.bias"][:, None, None]

    inner = F.relu(normalised(F.conv2d(features, weights["first.weight"], stride=stride, padding=1), "first_norm"))
    changed = normalised(F.conv2d(inner, weights["second.weight"], padding=1), "second_norm")
    assert ("shortcut.0.weight" in weights) != alike
    past = features
    if not alike:
        past = normalised(F.conv2d(features, weights["shortcut.0.weight"], stride=stride), "shortcut.1")
    assert past.shape == (2, outputs, -(-7 // stride), -(-6 // stride))
    torch.testing.assert_close(block(features), F.relu(changed + past), rtol=1e-4, atol=1e-5)


def test_a_cell_knows_nothing_beyond_its_field() -> None:
    """Two stages see 9 pixels to each side of where a cell begins; what is further away changes nothing of it, through no norm either."""
    torch.manual_seed(1)
    encoder = ConvEncoder(3, [8, 16], [1, 1], 16, nn.Identity(), dropout=0.0).eval()
    image = torch.zeros(1, 3, 32, 32)
    other = image.clone()
    other[:, :, :, 20:] = torch.randn(3, 32, 12)
    before, after = (encoder(looking_at(one)).states.unflatten(1, (8, 8)) for one in (image, other))
    assert torch.equal(before[:, :, :2], after[:, :, :2])
    assert not torch.allclose(before[:, :, 5], after[:, :, 5])


@pytest.mark.parametrize(
    ("height", "width", "stages", "grid"),
    [(75, 75, 3, (10, 10)), (64, 64, 2, (16, 16)), (33, 20, 2, (9, 5)), (9, 17, 3, (2, 3)), (8, 8, 3, (1, 1))],
)
@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "none"])
def test_each_stage_halves_and_rounds_up(
    height: int, width: int, stages: int, grid: tuple[int, int], positions: str
) -> None:
    """75 → 38 → 19 → 10."""
    keys = {"kind": "conv", "hidden_size": 16, "channels": [4] * stages, "positions": positions}
    encoder, section = encoder_of(keys, (3, height, width))
    memory = encoder(looking_at(torch.randn(2, 3, height, width)))
    assert isinstance(encoder, ConvEncoder)
    assert grid_shape(section.encoder, (3, height, width)) == memory.grid == grid
    assert memory.states.shape == (2, grid[0] * grid[1], 16)


def seen_by_a_dot(encoder: Encoder, row: int, column: int) -> Tensor:
    """How much a bright dot on an empty image of 32 × 96 changes each cell."""
    empty = torch.zeros(1, 1, 32, 96)
    dotted = empty.clone()
    dotted[..., row, column] = 1.0
    before, after = encoder(looking_at(empty)), encoder(looking_at(dotted))
    assert after.grid is not None
    return (after.states - before.states).abs().sum(dim=2).view(after.grid)


def without_norms(seed: int, stages: int) -> ConvEncoder:
    """A norm sees the whole image, convolutions their neighbourhood."""
    torch.manual_seed(seed)
    encoder = ConvEncoder(1, [8] * stages, [1] * stages, 16, NOWHERE, dropout=0.0)
    for block in encoder.stages:
        assert isinstance(block, ResidualBlock)
        block.first_norm, block.second_norm = nn.Identity(), nn.Identity()  # type: ignore[assignment]
        block.shortcut[1] = nn.Identity()  # type: ignore[index]
    return encoder


@torch.no_grad()
@pytest.mark.parametrize("stages", [1, 2, 3])
def test_a_cell_sees_what_is_around_it(stages: int) -> None:
    """The first convolution of stage s reaches 2^(s-1) pixels, the second 2^s: a cell sees 3·(2^stages - 1) pixels around its first one,
    and neither sees past that nor overlooks what is in it. A dot one cell further on is seen by the next cells."""
    cell, reach = 2**stages, 3 * (2**stages - 1)
    rows, columns = torch.arange(32 // cell), torch.arange(96 // cell)
    for row, column in ((9, 38), (16, 48), (21, 51)):
        near = ((rows * cell - row).abs() <= reach)[:, None] & ((columns * cell - column).abs() <= reach)
        changes = torch.stack([seen_by_a_dot(without_norms(seed, stages), row, column) for seed in range(5)])
        assert torch.equal(changes.sum(dim=0) > 0, near), (row, column)
        assert near[row // cell, column // cell]
        shifted = seen_by_a_dot(without_norms(0, stages), row, column - cell)
        torch.testing.assert_close(changes[0], shifted.roll(1, dims=1), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["conv", "patch"])
def test_the_cell_of_a_bright_square_changes_most(kind: str) -> None:
    """Of untrained models, norms, attention and all; but for the cells at the edge, around which convolutions see zeros."""
    keys = {"conv": {"channels": [8, 16]}, "patch": {"patch_size": 4, "layers": 1}}[kind]
    for row, column in ((2, 7), (5, 2), (6, 10), (1, 1)):
        total = torch.zeros(8, 12)
        for seed in range(10):
            section = Model.model_validate({"encoder": {"kind": kind, "hidden_size": 16, **keys}, "decoder": GRU})
            torch.manual_seed(seed)
            encoder = build_model(section, VOCABULARY, VOCABULARY, image_shape=(1, 32, 48)).eval().encoder
            dark = torch.full((1, 1, 32, 48), -1.0)
            lit = dark.clone()
            lit[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 1.0
            change = encoder(looking_at(lit)).states - encoder(looking_at(dark)).states
            total += change.abs().sum(dim=2).view(8, 12)
        assert divmod(int(total.argmax()), 12) == (row, column)


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 3])
def test_patches_are_a_convolution_with_the_stride_of_its_kernel(channels: int) -> None:
    torch.manual_seed(1)
    encoder = PatchEncoder(channels, [], 4, 16, [], NOWHERE, NOWHERE, dropout=0.0)
    pixels = torch.randn(2, channels, 8, 12)
    kernel = encoder.patches.weight.view(16, channels, 4, 4)
    expected = F.conv2d(pixels, kernel, encoder.patches.bias, stride=4)
    memory = encoder(looking_at(pixels))
    assert memory.grid == (2, 3)
    torch.testing.assert_close(memory.states, expected.flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_patches_of_a_stems_map() -> None:
    """Two stages make 4 × 6 cells of 15 × 21 pixels, which are 2 × 3 patches of 2 × 2 cells."""
    keys = {"kind": "patch", "stem": [4, 8], "patch_size": 2, "hidden_size": 16, "layers": 1, "positions": "none"}
    encoder, section = encoder_of(keys, (3, 15, 21))
    assert isinstance(encoder, PatchEncoder)
    pixels = torch.randn(2, 3, 15, 21)
    memory = encoder(looking_at(pixels))
    assert grid_shape(section.encoder, (3, 15, 21)) == memory.grid == (2, 3)
    encoder.layers, encoder.norm = nn.ModuleList(), nn.Identity()
    expected = F.conv2d(encoder.stem(pixels), encoder.patches.weight.view(16, 8, 2, 2), encoder.patches.bias, stride=2)
    states = encoder(looking_at(pixels)).states
    torch.testing.assert_close(states, expected.flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_features_are_normalised_and_projected() -> None:
    torch.manual_seed(1)
    encoder = FeaturesEncoder(10, 16, NOWHERE, dropout=0.0)
    features = 5 + 3 * torch.randn(2, 2, 3, 10)
    memory = encoder(looking_at(features))
    assert memory.grid == (2, 3)
    for row in range(2):
        for column in range(3):
            cell = features[:, row, column]
            standard = (cell - cell.mean(1, keepdim=True)) / (cell.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
            expected = standard @ encoder.states.weight.T + encoder.states.bias
            torch.testing.assert_close(memory.states[:, 3 * row + column], expected, rtol=1e-4, atol=1e-5)


def test_waves_tell_row_and_column() -> None:
    """Of a width of 8, four tell the row p and four the column: sin p, cos p, sin p/100, cos p/100."""
    placed = SinusoidalGrid()(torch.zeros(1, 3, 5, 8))
    for row in range(3):
        for column in range(5):
            angles = torch.tensor([row, row / 100, column, column / 100])
            expected = torch.stack((angles.sin(), angles.cos()), dim=1).flatten()
            torch.testing.assert_close(placed[0, row, column], expected, rtol=1e-5, atol=1e-6)
    cells = torch.randn(2, 3, 5, 8)
    torch.testing.assert_close(SinusoidalGrid()(cells), cells + placed)


def test_a_learned_grid_has_a_vector_for_each_cell() -> None:
    grid, cells = LearnedGrid(2, 3, 4), torch.randn(5, 2, 3, 4)
    placed = grid(cells)
    for row in range(2):
        for column in range(3):
            assert torch.equal(placed[:, row, column], cells[:, row, column] + grid.embedding.weight[3 * row + column])


@torch.no_grad()
@pytest.mark.parametrize(
    "keys",
    [{"kind": "conv", "channels": [8]}, {"kind": "patch", "patch_size": 4}, {"kind": "features"}],
    ids=lambda keys: keys["kind"],
)
def test_the_summary_of_an_image_is_its_mean_and_all_of_it_may_be_attended_to(keys: dict[str, Any]) -> None:
    """Features too can have the shape (3,8,12)."""
    encoder, _ = encoder_of({**keys, "hidden_size": 16}, IMAGE)
    memory = encoder(batch([3, 2], [1, 1]))
    torch.testing.assert_close(memory.summary, memory.states.mean(dim=1, keepdim=True))
    assert memory.cell is None
    assert memory.mask.all()
    assert memory.mask.shape == memory.states.shape[:2]


@torch.no_grad()
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_an_image_and_a_text_are_one_memory(kind: str) -> None:
    """The cells, then the symbols; the text's padding is masked, and its end is where the decoder starts."""
    keys = {
        "kind": "image_text",
        "image": {"kind": "conv", "hidden_size": 16, "channels": [8, 8]},
        "text": {**GRU, "kind": kind, "layers": 2},
    }
    encoder, _ = encoder_of(keys, IMAGE)
    assert isinstance(encoder, ImageTextEncoder)
    given = batch([7, 5, 2], [1, 1, 1])
    both, seen, read = encoder(given), encoder.image(given), encoder.text(given)
    assert both.grid == seen.grid == (2, 3)
    assert torch.equal(both.states[:, :6], seen.states)
    assert torch.equal(both.states[:, 6:], read.states)
    assert both.mask.sum(dim=1).tolist() == [6 + 7, 6 + 5, 6 + 2]
    assert torch.equal(both.summary, read.summary)
    assert both.summary.shape == (3, 2, 16)
    assert _cells(both, read) == (kind == "lstm")


def _cells(both: Memory, read: Memory) -> bool:
    """Whether there are cells, which are the text's."""
    if both.cell is None or read.cell is None:
        assert both.cell is read.cell
        return False
    return torch.equal(both.cell, read.cell)


@torch.no_grad()
def test_an_image_is_the_same_whatever_lies_beside_it() -> None:
    """In memory its channels come last, as convolutions want it; the numbers are those of any other order."""
    encoder, _ = encoder_of({"kind": "conv", "hidden_size": 16, "channels": [8, 16]}, IMAGE)
    given = batch([1, 1, 1], [1, 1, 1])
    assert given.image is not None
    turned = replace(given, image=given.image.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(encoder(given).states, encoder(turned).states)
    torch.testing.assert_close(encoder(given).states[1:2], encoder(looking_at(given.image[1:2])).states)


@pytest.mark.parametrize(("channels", "size"), [([8, 16], 64), ([16], 64), ([8, 8, 8], 32)])
def test_gradients_of_sizes_at_which_torch_crashed(channels: list[int], size: int) -> None:
    """With a stride of 2 of its own, the backward pass of a kernel of 1 × 1 wrote where it must not."""
    keys = {"kind": "conv", "hidden_size": 16, "channels": channels}
    encoder, _ = encoder_of(keys, (3, size, size))
    assert isinstance(encoder, ConvEncoder)
    for _ in range(3):
        encoder(looking_at(torch.randn(16, 3, size, size))).states.square().sum().backward()
    kernels = [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]
    assert all(kernel.stride == (1, 1) for kernel in kernels if kernel.kernel_size == (1, 1))
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in encoder.parameters())


def test_a_batch_without_images_is_refused() -> None:
    encoder, _ = encoder_of({"kind": "conv", "hidden_size": 16, "channels": [8]}, IMAGE)
    with pytest.raises(ValueError, match="no images"):
        encoder(replace(batch([1], [1]), image=None))


@torch.no_grad()
@pytest.mark.parametrize("decoder", ["rnn", "transformer"])
@pytest.mark.parametrize("attend_text", [True, False])
def test_a_question_starts_the_decoder_and_may_be_left_unattended(decoder: str, attend_text: bool) -> None:
    """What is written depends on image and question in any case; on words of the question that attention reaches only if it may."""
    sizes = {"rnn": {"hidden_size": 16, "embedding_size": 12}, "transformer": {"hidden_size": 16, "heads": 2}}
    section = Model.model_validate(
        {
            "encoder": {
                "kind": "image_text",
                "image": {"kind": "conv", "hidden_size": 16, "channels": [4, 8]},
                "text": {"kind": "transformer", "hidden_size": 16, "heads": 2},
                "attend_text": attend_text,
            },
            "decoder": {"kind": decoder, **sizes[decoder]},
        }
    )
    torch.manual_seed(1)
    model = build_model(section, VOCABULARY, VOCABULARY, image_shape=IMAGE).eval()
    ids = torch.tensor([[5, 6, 7]])
    asked = Batch(ids, ids == ids, torch.tensor([[2, 8, 3]]), torch.arange(1), torch.randn(1, *IMAGE))
    assert asked.image is not None
    other_image = replace(asked, image=-asked.image)
    other_question = replace(asked, source=torch.tensor([[5, 9, 7]]))
    logits = model.logits(asked)
    assert not torch.allclose(model.logits(other_image)[:, 0], logits[:, 0])
    assert not torch.allclose(model.logits(other_question)[:, 0], logits[:, 0])
    with trace_attention(model) as maps:
        model.logits(asked)
    (over_memory, *_) = [
        weights for name, weights in maps.items() if name.startswith("decoder") and weights.shape[-1] == 9
    ]
    assert (over_memory[..., 6:].sum() > 0) == attend_text
