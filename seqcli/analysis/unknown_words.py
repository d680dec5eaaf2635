"""What the model has no symbol for, taken from the source: the word that it looked at most when it wrote the unknown symbol.

Luong et al. 2015b, "Addressing the rare word problem in neural machine translation", section 3, write what a dictionary says of the aligned
source word, or the word itself, as names and numbers are; Jean et al. 2015, "On using very large target vocabulary for neural machine
translation", section 3.3, take the attention for the alignment, as is done here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from seqcli.analysis.alignment import AlignmentSettings, merged, target_rows, text_columns, weights_of
from seqcli.analysis.units import Span
from seqcli.data.subwords import SPACE
from seqcli.data.tokenizer import Tokenizer
from seqcli.errors import RecipeError, SeqcliError
from seqcli.evaluation.reader import Translation
from seqcli.evaluation.translator import Translator
from seqcli.models.seq2seq import OVER_MEMORY
from seqcli.symbols import EOS, SPECIAL, UNK, Example


def without_unknown(
    translator: Translator,
    examples: Sequence[Example],
    found: Sequence[Translation],
    lexicon: Mapping[str, str],
    settings: AlignmentSettings,
) -> list[Translation]:
    """The hypotheses, one for each example, with a word of the source, or what the `lexicon` says of it, in the place of what is unknown.

    A word is one of the source as the model reads it, in its case and Unicode form (composed). Where both sides are written in characters, a
    character is taken. Of a target in subwords the whole word goes that has an unknown symbol. What looked at no word stays `<unk>`. Only the
    texts change.
    Raises what `check_words_to_take` does.
    """
    check_words_to_take(translator)
    rows = [row for row, one in enumerate(found) if UNK in one.ids]
    asked = [examples[row] for row in rows]
    results = list(found)
    readable = translator.source_tokenizer.normalizer.readable
    known = {readable(word): translation for word, translation in lexicon.items()}
    every = weights_of(translator, asked, [found[row].ids for row in rows], settings)
    for row, example, looked in zip(rows, asked, every, strict=True):
        words = _source_words(translator, example.source)
        columns = text_columns(translator, example, looked.weights.shape[1], [span for _, span in words])
        ids = [i for i in found[row].ids if i != EOS]
        unknown = _unknown_spans(translator.target_tokenizer, ids)
        weights = merged(looked.weights, target_rows(unknown, looked.ids, settings.step), columns)
        texts = [words[int(one.argmax())][0] if one.any() else None for one in weights]
        written = _written(
            translator.target_tokenizer, ids, unknown, [known.get(text, text) if text else None for text in texts]
        )
        results[row] = replace(found[row], text=written)
    return results


def check_words_to_take(translator: Translator) -> None:
    """RecipeError where the sources are images, `SeqcliError` for a model without attention."""
    if translator.image_reader is not None:
        raise RecipeError("unknown words are taken from a text, but this run reads images")
    if not any(OVER_MEMORY.fullmatch(name) for name, _ in translator.model.named_modules()):
        raise SeqcliError("unknown words are taken from where a model looks, and this one has no attention")


def _source_words(translator: Translator, text: str) -> list[tuple[str, Span]]:
    """The words of a source, each with its symbols [start, end); its characters, where the target is written in characters too."""
    tokenizer = translator.source_tokenizer
    symbols = tokenizer.split(text)
    single = (
        tokenizer.kind in ("words", "symbols") or tokenizer.kind == translator.target_tokenizer.kind == "characters"
    )
    spans = [(place, place + 1) for place in range(len(symbols))] if single else tokenizer.words(tokenizer.encode(text))
    texts = ["".join(symbols[start:end]).replace(SPACE, " ").strip() for start, end in spans]
    texts = [tokenizer.normalizer.composed(text) for text in texts]
    return [(word, span) for word, span in zip(texts, spans, strict=True) if word]


def _unknown_spans(tokenizer: Tokenizer, ids: Sequence[int]) -> list[Span]:
    """The symbols [start, end) of what is unknown: of a word in pieces all of them, else the unknown symbol."""
    if tokenizer.kind in ("bpe", "unigram"):
        return [(start, end) for start, end in tokenizer.words(ids) if UNK in ids[start:end]]
    return [(place, place + 1) for place, i in enumerate(ids) if i == UNK]


def _written(tokenizer: Tokenizer, ids: Sequence[int], unknown: Sequence[Span], words: Sequence[str | None]) -> str:
    """The text that `ids` spell with these words in the place of the `unknown` spans; None leaves one as it is."""
    kept, given, end = list[int](), list[str](), 0
    for (start, after), word in zip(unknown, words, strict=True):
        kept += ids[end:start]
        end = after
        if word is None:
            kept += ids[start:after]
            given += [SPECIAL[UNK]] * list(ids[start:after]).count(UNK)
        else:
            kept.append(UNK)
            # a piece that begins a word has the space before it
            given.append(" " * tokenizer.tokens(ids[start : start + 1])[0].startswith(SPACE) + word)
    return tokenizer.decode([*kept, *ids[end:]], given)
