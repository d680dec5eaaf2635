"""Every model a recipe can name, in miniature: the schema says which kinds there are, the rules which of them fit together.

Nothing here lists a kind by hand. A new section, or a new value of a `Literal` or a yes/no key, brings its models into every test
that asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import cycle, product
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import torch

from seqcli.build.model import build_model
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe import model as sections
from seqcli.recipe.rules import broken_rules
from seqcli.recipe.schema import Recipe
from seqcli.recipe.section import Section
from seqcli.symbols import BOS, EOS, PAD, SPECIAL
from seqcli.types import Batch

Keys = dict[str, Any]

# both sides have states of width 16, so that every attention and every bridge fits; other widths differ, so that mix-ups show
SIZES: Keys = {
    "hidden_size": 16,
    "embedding_size": 12,
    "layers": 2,
    "heads": 2,
    "feedforward_size": 24,
    "window": 12,
    "max_positions": 40,
    "max_distance": 3,
    "channels": [6, 16],
    "blocks": 2,
    "patch_size": 2,
}
IMAGE = (3, 8, 12)
"""The shape of every image: pixels (C,h,w), and as well a grid of features (rows,columns,D). A model that reads text alone looks at none."""
# what every attention has goes with all the rest, so the models take turns: each way to attend gets each of these in some model; coverage, which
# an additive score alone has, goes with one hop
TURNS: list[Keys] = [
    {},
    {"gate": True, "coverage": True},
    {},
    {"hops": 2},
    {"coverage": True},
    {"gate": True, "hops": 2},
    {"coverage": True},
]
STEMS: list[list[int]] = [[], [6]]
"""What may stand below patches; they take turns too, as do a stage's norms."""
VOCABULARY = 20
COPIES = [-1, -1, EOS, -1, -1, *range(len(SPECIAL) + 1, VOCABULARY)]
"""The same symbol of the target for each of the source; the first word is one that only sources have."""


@dataclass(frozen=True)
class Specimen:
    """A model of the zoo and the section it was built from, whose words a failing test prints."""

    section: sections.Model
    model: Seq2Seq

    def __str__(self) -> str:
        return f"encoder {self.section.encoder!r}, decoder {self.section.decoder!r}, copying {self.section.copying}"


def variants(section: type[Section], sizes: Keys) -> Iterator[Keys]:
    """Every way to write a section: all values of its choices, all variants of the sections inside it, the given sizes; without what
    takes turns."""
    choices, stems, norms = [], cycle(STEMS), cycle(["batch", "layer", "batch"])
    for name, about in section.model_fields.items():
        if name in sections.AttentionSection.model_fields or name in ("coverage", "normalize"):
            continue
        values = _values(about.annotation) or ([sizes[name]] if name in sizes else [])
        if values:
            choices.append([(name, value) for value in values])
    for chosen in product(*choices):
        keys = dict(chosen)
        if keys.get("bidirectional"):
            keys["hidden_size"] //= 2
        if keys.get("positions") != "relative":
            keys.pop("max_distance", None)
        if "stem" in section.model_fields:
            keys["stem"] = next(stems)
        if "normalize" in section.model_fields:
            keys["normalize"] = next(norms)
        yield keys


def _values(annotation: Any) -> list[Any]:
    """What a key can be, where that can be counted: the values of a Literal, yes and no, the variants of a union of sections."""
    if annotation is bool:
        return [False, True]
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    members = [member for member in get_args(annotation) if member is not NoneType]
    if members and all(isinstance(member, type) and issubclass(member, Section) for member in members):
        return [keys for member in members for keys in variants(member, {})]
    return []


def side_by_side(section: type[Section]) -> Iterator[Keys]:
    """Every way to write a section that is made of an image's and a text's, but for their details: each kind of the one with each kind of
    the other, and their variants take turns."""
    (kind,) = get_args(section.model_fields["kind"].annotation)
    turns = {name: _turns(section.model_fields[name].annotation) for name in ("image", "text")}
    for image, text in product(turns["image"], turns["text"]):
        yield {"kind": kind, "image": next(turns["image"][image]), "text": next(turns["text"][text])}


def _turns(union: Any) -> dict[str, Iterator[Keys]]:
    """Of each kind its variants, again and again."""
    found = [keys for member in get_args(union) for keys in variants(member, SIZES)]
    return {kind: cycle([keys for keys in found if keys["kind"] == kind]) for kind in dict.fromkeys(map(_kind, found))}


def _kind(keys: Keys) -> str:
    return str(keys["kind"])


def kinds(union: Any) -> list[Keys]:
    """All variants of all members of a discriminated union of the schema."""
    found: list[Keys] = []
    for member in get_args(get_args(union)[0]):
        found += side_by_side(member) if member is sections.ImageTextEncoder else variants(member, SIZES)
    return found


def validated(keys: Keys) -> sections.Model | None:
    """The `model` section with these keys, or None where the rules refuse it."""
    model = sections.Model.model_validate(keys)
    text, image = sections.text_encoder(model.encoder), sections.image_encoder(model.encoder)
    recipe = Recipe.model_validate(
        {
            "data": {"kind": "files", "train": "pairs.jsonl", "columns": _columns(text is not None, image is not None)},
            "source": {
                "tokenizer": None if text is None else {"kind": "characters"},
                "image": None if image is None else _image_source(image.kind),
            },
            "target": {"tokenizer": {"kind": "characters" if text is None else "shared"}},
            "model": model,
            "training": {"steps": 1},
            "search": {"max_length": 20},
        }
    )
    broken = [path[0] for path, _ in broken_rules(recipe)]
    assert set(broken) <= {"model"}, "the zoo's recipes are wrong beside their models"
    return None if broken else recipe.model


def _columns(text: bool, image: bool) -> Keys:
    return {"source": "text" if text else None, "image": "picture" if image else None, "target": "words"}


def _image_source(encoder: str) -> Keys:
    """What gives images of the shape `IMAGE` to an encoder of a kind."""
    if encoder == "features":
        return {"kind": "features", "rows": IMAGE[0], "columns": IMAGE[1], "size": IMAGE[2]}
    return {"kind": "pixels", "channels": IMAGE[0], "height": IMAGE[1], "width": IMAGE[2]}


def built(section: sections.Model) -> Seq2Seq:
    """A new model of the zoo, for its vocabulary and its images."""
    return build_model(section, VOCABULARY, VOCABULARY, image_shape=IMAGE, copies=COPIES)


@cache
def encoders() -> list[Keys]:
    """Every encoder."""
    return kinds(sections.Encoder)


@cache
def decoders() -> list[Keys]:
    """Every decoder that fits at least one encoder; those with attention take turns."""
    found = [decoder for decoder in kinds(sections.Decoder) if any(_fit(encoder, decoder) for encoder in encoders())]
    turns = cycle(TURNS)
    return [
        {**decoder, "attention": _with_turn(decoder["attention"], next(turns))} if _attends(decoder) else decoder
        for decoder in found
    ]


def _with_turn(attention: Keys, turn: Keys) -> Keys:
    """An attention with those keys of its turn that it has."""
    additive = _kind(attention) == "additive"
    return {**attention, **{key: value for key, value in turn.items() if additive or key != "coverage"}}


def _attends(decoder: Keys) -> bool:
    return decoder.get("attention", {"kind": "none"})["kind"] not in ("none", "hard_monotonic")


@cache
def pairs() -> list[sections.Model]:
    """Every encoder with a decoder of each kind (of one kind, where it is made of two encoders), and every decoder with some encoder that
    reads text, so that there is padding: the partners take turns. Then those that copy."""
    found = []
    for turn, encoder in enumerate(encoders()):
        fitting = [decoder for decoder in decoders() if _fit(encoder, decoder)]
        partners = [
            [decoder for decoder in fitting if _kind(decoder) == kind] for kind in sorted({*map(_kind, fitting)})
        ]
        several = encoder["kind"] != "image_text"
        for same in partners if several else [partners[turn % len(partners)]]:
            found.append(_fit(encoder, same[turn * 7 % len(same)]))
    for turn, decoder in enumerate(decoders()):
        fitting = [encoder for encoder in encoders() if _kind(encoder) not in IMAGE_KINDS and _fit(encoder, decoder)]
        found.append(_fit(fitting[turn * 13 % len(fitting)], decoder))
    return [*(model for model in found if model is not None), *copying()]


def copying() -> list[sections.Model]:
    """A model that copies for each kind of encoder that reads text alone with each kind of decoder that attends; their variants take turns."""
    texts = [encoder for encoder in encoders() if _kind(encoder) not in (*IMAGE_KINDS, "image_text")]
    attending = [decoder for decoder in decoders() if _kind(decoder) == "transformer" or _attends(decoder)]
    found = []
    for turn, kind in enumerate(product(*(sorted({*map(_kind, side)}) for side in (texts, attending)))):
        readers, writers = (
            [keys for keys in side if _kind(keys) == one] for side, one in zip((texts, attending), kind, strict=True)
        )
        tried = (
            validated({"encoder": encoder, "decoder": decoder, "copying": True})
            for encoder, decoder in product(readers, writers[turn % 7 :: 7])
        )
        fitting = [model for model in tried if model is not None]
        found.append(fitting[turn % len(fitting)])
    return found


_fitting: dict[str, sections.Model | None] = {}


def _fit(encoder: Keys, decoder: Keys) -> sections.Model | None:
    key = f"{encoder}{decoder}"
    if key not in _fitting:
        _fitting[key] = validated({"encoder": encoder, "decoder": decoder})
    return _fitting[key]


ENCODER_KINDS = sorted({keys["kind"] for keys in kinds(sections.Encoder)})
IMAGE_KINDS = sorted({keys["kind"] for member in get_args(sections.ImageEncoder) for keys in variants(member, SIZES)})
"""The encoders that read no text."""


@cache
def models_with(encoder_kind: str) -> list[Specimen]:
    """Every pair whose encoder is of a kind, built, in evaluation mode. Kept between tests: leave the weights as they are."""
    found = []
    for number, section in enumerate(pairs()):
        if section.encoder.kind == encoder_kind:
            torch.manual_seed(number)
            found.append(Specimen(section, built(section).eval()))
    return found


def batch(source_lengths: list[int], target_lengths: list[int], seed: int = 0) -> Batch:
    """Random sentences of these lengths, EOS counted, BOS not, each with a random image."""
    draw = torch.Generator().manual_seed(seed)
    source = _rectangle([_sentence(length, draw) for length in source_lengths])
    target = _rectangle([[BOS, *_sentence(length, draw)] for length in target_lengths])
    image = 2 * torch.rand(len(source_lengths), *IMAGE, generator=draw) - 1
    return Batch(source, source != PAD, target, torch.arange(len(source_lengths)), image)


def padded(given: Batch, source: int, target: int) -> Batch:
    """The same batch with so many more columns of padding."""
    wide = torch.nn.functional.pad
    longer = wide(given.source, (0, source), value=PAD)
    assert given.target is not None
    return replace(given, source=longer, source_mask=longer != PAD, target=wide(given.target, (0, target), value=PAD))


def rows(given: Batch, order: list[int]) -> Batch:
    """Some rows of a batch, in this order, with the padding they had."""
    return given.select(torch.tensor(order))


def alone(given: Batch, row: int, length: int) -> Batch:
    """One row of a batch, its source cut to `length` symbols."""
    only = rows(given, [row])
    return replace(only, source=only.source[:, :length], source_mask=only.source_mask[:, :length])


def _sentence(length: int, draw: torch.Generator) -> list[int]:
    return [*torch.randint(len(SPECIAL), VOCABULARY, (length - 1,), generator=draw).tolist(), EOS]


def _rectangle(sentences: list[list[int]]) -> torch.Tensor:
    longest = max(map(len, sentences))
    return torch.tensor([[*ids, *[PAD] * (longest - len(ids))] for ids in sentences])
