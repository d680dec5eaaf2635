"""CTranslate2 as the engine of a run's translations.

Its beam search is ours with other settings: the K best extensions go on, those that end among the first K of 2K are finished, and a
sentence is done when K are (with `length_penalty` above 0; at 0 it may stop sooner, so it gets a number next to 0). A score is divided by
the length with EOS where the end is part of what is returned. Two things differ. What may not be written it takes out before the softmax, so its
scores are those of the symbols that may be. And where a length runs out it keeps all K live hypotheses beside those finished, not only as
many as are missing of K.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from seqcli.data.tokenizer import Tokenizer
from seqcli.errors import RecipeError, SeqcliError
from seqcli.evaluation.reader import Reader, SearchSettings, Translation, longest_hypothesis
from seqcli.evaluation.wishes import Asked
from seqcli.export.ctranslate2 import POSITIONS, symbol_names
from seqcli.extras import require
from seqcli.search.trace import BeamTrace
from seqcli.symbols import BOS, PAD, SPECIAL, Example

OBEYED = ("beam_size", "length_penalty", "max_length", "max_ratio", "batch_sentences", "unknown", "wishes")
"""The settings of a search that it is given; of wishes the greatest length alone."""
NEXT_TO_0 = 1e-30


class CTranslate2Reader(Reader):
    """Translates with the model that was exported to a folder; tokenizers and limits are as the native translator's."""

    def __init__(
        self,
        folder: Path,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        *,
        threads: int,
        reverse_source: bool = False,
        longest_source: int | None = None,
        longest_target: int | None = None,
    ) -> None:
        super().__init__(
            source_tokenizer,
            target_tokenizer,
            reverse_source=reverse_source,
            longest_source=longest_source,
            longest_target=min(longest_target or POSITIONS, POSITIONS),
        )
        require("ctranslate2", "the engine ctranslate2")
        from ctranslate2 import Translator  # type: ignore[import-untyped]

        try:
            self.engine = Translator(str(folder), device="cpu", inter_threads=1, intra_threads=threads)
        except (RuntimeError, ValueError) as error:
            raise SeqcliError(f"{folder}: CTranslate2 cannot open it ({error})") from error
        self.sources = symbol_names(source_tokenizer)
        self.targets = {name: i for i, name in enumerate(symbol_names(target_tokenizer))}

    def answers(
        self,
        examples: Sequence[Example],
        sources: Sequence[Sequence[int]],
        settings: SearchSettings,
        *,
        asked: Sequence[Asked],
        trace: BeamTrace | None = None,
    ) -> list[list[Translation]]:
        """The hypotheses for each source.

        One call knows one longest length. So all are searched for together with the longest of theirs, and those that came to the end of their
        own once more with it, those with the same together: a search that was done before has never seen a limit.
        """
        refuse_settings(settings, asked)
        if trace is not None:
            raise RecipeError("--engine ctranslate2 does not tell what its search considered; leave --trace out")
        limits = [longest_hypothesis(one, settings.limit(len(ids))) for one, ids in zip(asked, sources, strict=True)]
        longest = max(limits)
        found = self._search(sources, longest, settings)
        again: dict[int, list[int]] = {}
        for row, (translations, limit) in enumerate(zip(found, limits, strict=True)):
            if limit < longest and any(len(one.ids) >= limit for one in translations):
                again.setdefault(limit, []).append(row)
        for limit, rows in again.items():
            shorter = self._search([sources[row] for row in rows], limit, settings)
            for row, translations in zip(rows, shorter, strict=True):
                found[row] = translations
        return found

    def _search(
        self, sources: Sequence[Sequence[int]], max_length: int, settings: SearchSettings
    ) -> list[list[Translation]]:
        results = self.engine.translate_batch(
            # the engine adds EOS
            [[self.sources[i] for i in ids[:-1]] for ids in sources],
            beam_size=settings.beam_size,
            num_hypotheses=settings.beam_size,
            length_penalty=settings.length_penalty or NEXT_TO_0,
            max_decoding_length=max_length,
            min_decoding_length=0,
            max_input_length=0,
            disable_unk=not settings.unknown,
            suppress_sequences=[[SPECIAL[PAD]], [SPECIAL[BOS]]],
            return_end_token=True,
            return_scores=True,
        )
        return [list(self._translations(result, settings.length_penalty)) for result in results]

    def _translations(self, result: Any, length_penalty: float) -> Iterator[Translation]:
        for tokens, score in zip(result.hypotheses, result.scores, strict=True):
            ids = tuple(self.targets[token] for token in tokens)
            yield Translation(self.target_tokenizer.decode(ids), score, score * len(ids) ** length_penalty, ids)


def refuse_settings(settings: SearchSettings, asked: Sequence[Asked] = ()) -> None:
    """Raise `RecipeError` where a search is asked for that CTranslate2 is not given."""
    for one in fields(settings):
        usual = one.default_factory() if one.default_factory is not MISSING else one.default
        if one.name not in OBEYED and getattr(settings, one.name) != usual:
            raise RecipeError(f"--engine ctranslate2 knows no {one.name}; leave it out, or use the native engine")
    if any(one.demands.restrict for one in asked):
        raise RecipeError(
            "--engine ctranslate2 knows no prefix, no constraints, no avoid and no min_length; leave them out, or use the native engine"
        )
