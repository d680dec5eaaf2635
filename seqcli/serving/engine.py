"""What is served: anything that translates and shows its attention as a run does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from seqcli.data.images import image_size
from seqcli.data.tasks import Tagging
from seqcli.evaluation.attention import AttentionMaps, attention_maps
from seqcli.evaluation.reader import SearchSettings, Translation
from seqcli.run import Run
from seqcli.symbols import Example


@dataclass(frozen=True)
class Found:
    """The hypotheses for one source, best first, and whether the source was too long to be read whole."""

    hypotheses: list[Translation]
    cut: bool = False


class Engine(Protocol):
    """What answers requests. Only `translate` and `attention` use the model; they are called by one thread."""

    name: str
    about: str

    @property
    def reads_texts(self) -> bool:
        """Whether its sources are texts, or images and texts."""

    @property
    def reads_images(self) -> bool:
        """Whether its sources are images, or images and texts."""

    @property
    def tagging(self) -> Tagging:
        """Which tags stand before sources: of features, and of tasks."""

    def settings(self) -> SearchSettings:
        """How it searches unless a request says otherwise."""

    def seen(self, examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
        """The examples with their images decoded, and a sentence for each that cannot be."""

    def translate(self, examples: Sequence[Example], settings: SearchSettings) -> list[Found]:
        """The hypotheses for each example."""

    def attention(self, example: Example, settings: SearchSettings) -> AttentionMaps:
        """What was looked at while the example's target, or without one its best hypothesis, was written. `SeqcliError` where there is nothing."""


class RunEngine:
    """A run as it was loaded."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.name = run.folder.resolve().name
        self.about = _about(run)
        self.reads_texts = run.reads_texts
        self.reads_images = run.reads_images
        self.tagging = run.tagging

    def settings(self) -> SearchSettings:
        """As the recipe says."""
        return self.run.settings()

    def seen(self, examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
        """See `Translator.seen`."""
        return self.run.translator.seen(examples)

    def translate(self, examples: Sequence[Example], settings: SearchSettings) -> list[Found]:
        """See `Run.hypotheses`."""
        # the translator tells by their origins which sources it has cut, and two requests may have given theirs the same
        named = [replace(example, origin=str(place)) for place, example in enumerate(examples)]
        self.run.translator.cut.clear()
        found = self.run.hypotheses(named, settings)
        cut = self.run.translator.cut
        return [Found(one, example.origin in cut) for example, one in zip(named, found, strict=True)]

    def attention(self, example: Example, settings: SearchSettings) -> AttentionMaps:
        """See `evaluation.attention.attention_maps`."""
        (maps,) = attention_maps(self.run.translator, [example], settings)
        return maps


def _about(run: Run) -> str:
    """The kinds of its encoder, decoder and attention, and whether it copies, in a few words."""
    model = run.recipe.model
    attention = getattr(model.decoder, "attention", None)
    kinds = [f"{model.encoder.kind} encoder", f"{model.decoder.kind} decoder"]
    if attention is not None and attention.kind != "none":
        kinds.append(f"{attention.kind} attention")
    if model.copying:
        kinds.append("copying")
    return ", ".join(kinds).replace("_", " ") + f"; checkpoint {run.checkpoint.name}"


def pixels_of(example: Example) -> int:
    """How many pixels the example's image says that it has, looked up without decoding; 0 where that cannot be told."""
    size = None if example.image is None else image_size(example.image)
    return 0 if size is None else size[0] * size[1]
