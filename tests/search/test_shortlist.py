"""Short lists: whose symbols are on them, and what a search over one finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from evaluation.zoo_translators import WORDS, examples_for, translator_of
from models.zoo import VOCABULARY, Specimen, models_with

from seqcli.errors import RecipeError
from seqcli.evaluation.ensemble import EnsembleTranslator
from seqcli.evaluation.reader import SearchSettings, Translation
from seqcli.evaluation.translator import Translator
from seqcli.evaluation.wishes import Wishes
from seqcli.nn.output import NamedAlready
from seqcli.search.shortlist import Shortlist
from seqcli.search.trace import Node
from seqcli.symbols import SPECIAL, Example

SETTINGS = SearchSettings(4, 1.0, 7, 3.0, 8)
KINDS = ["lstm", "transformer"]


def shortlist(best: dict[int, list[int]], usual: list[int], *, shared: bool = False) -> Shortlist:
    table = torch.full((VOCABULARY, 3), -1)
    for source, targets in best.items():
        table[source, : len(targets)] = torch.tensor(targets)
    return Shortlist(table, torch.tensor(usual, dtype=torch.long), VOCABULARY, shared=shared)


EVERYTHING = shortlist({}, list(range(VOCABULARY)))
SOME = shortlist({number: [(number * 7) % 16 + 4, (number * 3) % 16 + 4] for number in range(VOCABULARY)}, [5, 9])


def test_each_sentence_has_its_own_list() -> None:
    sources = torch.tensor([[5, 7, 2], [6, 2, 0]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    some = shortlist({5: [11, 10], 7: [12], 6: [15], 0: [19]}, [8])
    columns, impossible = some.candidates(sources, mask)
    assert columns.tolist() == [0, 1, 2, 3, 8, 10, 11, 12, 15]
    possible = [columns[row == 0].tolist() for row in impossible]
    assert possible == [[0, 1, 2, 3, 8, 10, 11, 12], [0, 1, 2, 3, 8, 15]]
    assert impossible.isneginf().logical_or(impossible == 0).all()
    columns, impossible = replace(some, shared=True).candidates(sources, mask, [[17], []])
    assert columns[impossible[0] == 0].tolist() == [0, 1, 2, 3, 5, 7, 8, 10, 11, 12, 17]
    assert columns[impossible[1] == 0].tolist() == [0, 1, 2, 3, 6, 8, 15]


def listed(kind: str) -> list[Specimen]:
    """The models of the zoo that a list can be for: those with an output layer, which do not copy."""
    return [
        one for one in models_with(kind) if not one.section.copying and not isinstance(one.model.output, NamedAlready)
    ]


def same(left: list[list[Translation]], right: list[list[Translation]]) -> None:
    assert [[one.ids for one in several] for several in left] == [[one.ids for one in several] for several in right]
    for one, other in zip(sum(left, []), sum(right, []), strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-5)
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)
        assert one.text == other.text


def translated(
    specimen: Specimen, settings: SearchSettings, examples: list[Example] | None = None
) -> list[list[Translation]]:
    translator = translator_of(specimen)
    return translator.translate(examples or examples_for(translator), settings)


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_everything_changes_nothing(kind: str) -> None:
    for specimen in listed(kind)[::4]:
        same(translated(specimen, replace(SETTINGS, shortlist=EVERYTHING)), translated(specimen, SETTINGS))


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_listed_is_written_and_batch_mates_do_not_matter(kind: str) -> None:
    settings = replace(SETTINGS, shortlist=SOME)
    for specimen in listed(kind)[::4]:
        translator = translator_of(specimen)
        examples = examples_for(translator)
        together = translator.translate(examples, settings)
        same(together, [translator.translate([example], settings)[0] for example in examples])
        for example, several in zip(examples, together, strict=True):
            ids = translator.encode(example)
            allowed = {5, 9, *range(len(SPECIAL)), *SOME.best[torch.tensor(ids)].flatten().tolist()}
            assert all(allowed >= set(one.ids) for one in several)


@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_of_the_search_is_the_same_over_a_list(kind: str) -> None:
    """Wishes, penalties and traces tell of symbols, not of places on the list."""
    wishes = Wishes(prefix=WORDS[13], constraints=(WORDS[2],), avoid=(f"{WORDS[1]} {WORDS[5]}",), min_length=4)
    for specimen in [one for one in listed(kind)[::5] if one.model.decoder]:
        for more in ({"wishes": wishes}, {"repetition_penalty": 1.5, "no_repeat_ngram": 2}, {"diverse_groups": 2}):
            settings = replace(SETTINGS, **more)
            same(translated(specimen, replace(settings, shortlist=EVERYTHING)), translated(specimen, settings))
            found = translated(specimen, replace(settings, shortlist=SOME))
            if "wishes" in more:
                assert all(one.ids[0] == 13 + len(SPECIAL) for several in found for one in several if one.ids)
                assert all(2 + len(SPECIAL) in one.ids for several in found for one in several if one.ids)


def test_a_trace_tells_of_symbols() -> None:
    specimen = models_with("lstm")[0]
    translator = translator_of(specimen)
    examples = examples_for(translator)

    def trees(settings: SearchSettings) -> dict[int, list[Node]]:
        kept: dict[int, list[Node]] = {}
        translator.translate(examples, settings, traced=kept.__setitem__)
        return kept

    plain, short = trees(SETTINGS), trees(replace(SETTINGS, shortlist=EVERYTHING))
    assert {row: [node.id for node in nodes] for row, nodes in plain.items()} == {
        row: [node.id for node in nodes] for row, nodes in short.items()
    }


def test_a_member_that_copies_is_refused() -> None:
    first = translator_of(listed("lstm")[0])
    copies = translator_of(next(one for one in models_with("lstm") if one.section.copying))
    joint = EnsembleTranslator(first, [copies])
    with pytest.raises(RecipeError, match=r"search.shortlist: a member of the ensemble copies.*leave shortlist out"):
        joint.translate(examples_for(joint), replace(SETTINGS, shortlist=SOME))
    assert joint.translate(examples_for(joint), SETTINGS)


def test_an_ensemble_has_lists_too() -> None:
    first, second = (translator_of(specimen) for specimen in (models_with("lstm")[0], models_with("transformer")[0]))
    joint: Translator = EnsembleTranslator(first, [second])
    examples = examples_for(joint)
    same(joint.translate(examples, replace(SETTINGS, shortlist=EVERYTHING)), joint.translate(examples, SETTINGS))
    quick = joint.translate(examples, replace(SETTINGS, shortlist=SOME, precision="bf16"))
    assert all(several for several in quick)
