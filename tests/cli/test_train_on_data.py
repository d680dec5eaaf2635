"""`seqcli train` on files of pairs: which recipe, which columns and which splits are taken, and what is said of it."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from seqcli.build.choice import RECIPES, choose
from seqcli.build.data import open_split
from seqcli.errors import DataError, RecipeError
from seqcli.recipe.data import FilesData
from seqcli.recipe.dump import dump_recipe
from seqcli.recipe.load import load_recipe
from seqcli.recipe.shipped import shipped_recipes

SENTENCES = [
    ("ein Mann geht über die Straße", "a man crosses the street"),
    ("zwei Hunde spielen im Schnee", "two dogs play in the snow"),
    ("die Frau liest ein Buch", "the woman reads a book"),
]
PHONEMES = [("hús", "h uː s"), ("maður", "m aː ð ʏ r"), ("kona", "k ɔː n a")]
TAGGED = [
    ("gehen", "ging", "V;PST;3;SG"),
    ("gehen", "gehe", "V;PRS;1;SG"),
    ("sehen", "sah", "V;PST;3;SG"),
    ("kommen", "kam", "V;PST;1;SG"),
]
WORDS = [("Москва", "Moskva"), ("Казань", "Kazan"), ("Омск", "Omsk")]
SHORT = ("training.steps=2", "training.epochs=null", "training.average=1", "training.batch_tokens=128", "threads=1")

Rows = Sequence[tuple[str, ...]]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table(rows: Rows, separator: str = "\t") -> str:
    return "".join(separator.join(row) + "\n" for row in rows)


def write(name: str, rows: Rows, header: tuple[str, ...] | None = None) -> str:
    """The rows in a file of the format that its name says."""
    names = header or ("source", "target", "features")
    if ".jsonl" in name:
        text = "".join(json.dumps(dict(zip(names, row, strict=False)), ensure_ascii=False) + "\n" for row in rows)
    else:
        text = table([*([header] if header else []), *rows], "," if ".csv" in name else "\t")
    Path(name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return name


def words(count: int) -> Rows:
    """As many different pairs of words."""
    draw = random.Random(1)
    sources = dict.fromkeys("".join(draw.choices("abcdefgh", k=draw.randint(3, 6))) for _ in range(2 * count))
    return [(source, source[::-1]) for source in list(sources)[:count]]


def data_of(*files: str, overrides: tuple[str, ...] = ()) -> FilesData:
    data = choose(files, overrides).recipe.data
    assert isinstance(data, FilesData)
    return data


@pytest.mark.parametrize(
    ("rows", "recipe"),
    [
        (SENTENCES, "translation/bpe-transformer"),
        (PHONEMES, "g2p/monotonic-lstm"),
        (TAGGED, "inflection/monotonic-lstm"),
        (WORDS, "words/monotonic-lstm"),
        ([("3. Mai 2011", "2011-05-03"), ("4. Juni", "06-04"), ("1999", "1999")], "words/monotonic-lstm"),
        ([("我们今天去北京看朋友", "we go to see friends"), ("他昨天晚上没有回家", "he did not come home")], "translation/bpe-transformer"),
        ([("さくら", "s a k ɯ r a"), ("ひと", "ç i t o")], "g2p/monotonic-lstm"),
        # remarks, numbers and shares are no tags
        ([(*pair, f"CC-BY 2.0 #{n}") for n, pair in enumerate(SENTENCES)], "translation/bpe-transformer"),
        ([(*pair, "formal") for pair in SENTENCES], "translation/bpe-transformer"),
        ([(*pair, str(n % 2)) for n, pair in enumerate(WORDS)], "words/monotonic-lstm"),
        ([(*pair, f"id{n}") for n, pair in enumerate(WORDS)], "words/monotonic-lstm"),
        ([(*pair, "two words") for pair in WORDS], "words/monotonic-lstm"),
    ],
)  # fmt: skip
def test_the_recipe_that_suits(rows: Rows, recipe: str) -> None:
    chosen = choose([write("pairs.tsv", rows)])
    assert f"recipe {recipe} (--recipe NAME takes another)" in chosen.told
    shipped = load_recipe(recipe)
    assert {**chosen.recipe.model_dump(), "data": None} == {**shipped.model_dump(), "data": None}
    data = chosen.recipe.data
    assert isinstance(data, FilesData)
    assert (data.columns.source, data.columns.target) == (0, 1)
    assert data.columns.features == (2 if recipe.startswith("inflection") else None)
    assert chosen.name == "pairs"


def test_all_recipes_that_may_be_chosen_are_shipped_and_read_tables() -> None:
    for suited in RECIPES:
        assert suited.recipe in shipped_recipes()
        assert load_recipe(suited.recipe).data.kind == "files"


@pytest.mark.parametrize("ending", [".tsv", ".csv", ".jsonl", ".tsv.gz", ".parquet"])
@pytest.mark.parametrize(
    ("header", "found"),
    [
        (("source", "target"), ("source", "target")),
        (("target", "source"), ("source", "target")),
        (("id", "Word", "Pronunciation"), ("Word", "Pronunciation")),
        (("lemma", "form", "tags"), ("lemma", "form")),
        (("de", "en"), ("de", "en")),
    ],
)
def test_columns_by_their_names(ending: str, header: tuple[str, ...], found: tuple[str, str]) -> None:
    rows = [tuple(f"{name}{place}" for name in header) for place in range(4)]
    file = f"pairs{ending}"
    if ending == ".parquet":
        parquet(file, [dict(zip(header, row, strict=True)) for row in rows])
    else:
        write(file, rows, header)
    data = data_of(file)
    assert (data.columns.source, data.columns.target) == found
    assert data.columns.features == ("tags" if "tags" in header else None)
    train = open_split(data, "train")
    assert train is not None
    first = next(train.read())
    assert first.source.startswith(found[0])
    assert (first.target or "").startswith(found[1])


def parquet(file: str, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), file)


def test_columns_without_known_names() -> None:
    lines = [{"id": 7, "frage": f"was {row}", "antwort": "das"} for row in range(4)]
    Path("a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert (data_of("a.jsonl").columns.source, data_of("a.jsonl").columns.target) == ("frage", "antwort")
    parquet("b.parquet", lines)
    assert data_of("b.parquet").columns.target == "antwort"
    Path("c.jsonl").write_text(
        "".join(
            json.dumps({"id": str(row), "translation": {"de": f"x{row}", "fr": f"y{row}"}}) + "\n" for row in range(4)
        )
    )
    assert (data_of("c.jsonl").columns.source, data_of("c.jsonl").columns.target) == (
        "translation.de",
        "translation.fr",
    )
    assert "columns 0 → 1, no header line" in choose([write("d.tsv", WORDS)]).told


def test_tables_whose_names_do_not_say_so(call: Callable[..., Any]) -> None:
    write("pairs.txt", words(40))
    assert "characters to characters" in choose(["pairs.txt"]).told
    assert call("train", "pairs.txt", "--dry-run").code == 0
    Path("PAIRS.TSV.GZ").write_bytes(gzip.compress(table(words(40)).encode()))
    assert choose(["PAIRS.TSV.GZ"]).name == "PAIRS"
    assert call("train", "PAIRS.TSV.GZ", "--dry-run").code == 0
    for name, side in (("a.de", 0), ("a.en", 1)):
        Path(name).write_text("".join(f"{row[side]}\n" for row in SENTENCES))
    refused = call("train", "a.de", "a.en")
    assert refused.code == 2
    assert "'data={kind: text, train: {source: a.de, target: a.en}, hold_out: 0.1}'" in refused.err


def test_two_languages_beside_a_column_of_numbers() -> None:
    rows = [(str(number), *SENTENCES[number]) for number in range(3)]
    data = data_of(write("pairs.csv", rows, ("id", "de", "en")))
    assert (data.columns.source, data.columns.target) == ("de", "en")
    # a form and a lemma may be spelt like languages
    assert data_of(write("words.tsv", [("de", "es", "N;SG"), *TAGGED])).columns.source == 0


def test_tags_in_the_middle() -> None:
    """The order of newer files of SIGMORPHON: lemma, tags, form."""
    data = data_of(write("pairs.tsv", [(lemma, tags, form) for lemma, form, tags in TAGGED]))
    assert (data.columns.source, data.columns.target, data.columns.features) == (0, 2, 1)
    assert data.features_separator == ";"
    # words that are often repeated have no separators
    often = [(str(row), ("ja", "nein")[row % 2], "x y z") for row in range(20)]
    assert data_of(write("often.tsv", often)).columns.target == 1


def test_names_of_columns_and_nothing_below_them(call: Callable[..., Any]) -> None:
    refused = call("train", write("pairs.tsv", [], ("source", "target")))
    assert refused.code == 3
    assert "pairs.tsv: has no pairs below its header line" in refused.err


def test_images_are_no_text() -> None:
    parquet("a.parquet", [{"image": {"bytes": b"x", "path": "1.png"}, "text": "a"}] * 3)
    with pytest.raises(DataError, match="has one column of text, but two are needed"):
        choose(["a.parquet"])


@pytest.mark.parametrize("separator", [";", "|", ",", "+"])
def test_what_stands_between_tags(separator: str) -> None:
    data = data_of(write("pairs.tsv", [(*row[:2], row[2].replace(";", separator)) for row in TAGGED]))
    train = open_split(data, "train")
    assert train is not None
    assert all(len(example.features) == 4 for example in train.read())


def test_columns_that_are_given_are_those_looked_at() -> None:
    file = write("pairs.tsv", [(str(row), *PHONEMES[row]) for row in range(3)])
    chosen = choose([file], ["data.columns.source=1", "data.columns.target=2"])
    assert "recipe g2p/monotonic-lstm" in chosen.told
    assert "columns 1 → 2" in chosen.told


def test_splits_by_the_names_of_files() -> None:
    rows = words(40)
    files = [
        write(f"ice_{name}.tsv", part)
        for name, part in (("train", rows[:30]), ("dev", rows[30:35]), ("test", rows[35:]))
    ]
    data = data_of(*files)
    assert (data.train, data.validation, data.test, data.hold_out) == (*files, None)
    assert choose(files[::-1]).recipe == choose(files).recipe
    assert choose(files).name == "ice_train"
    assert "ice_dev.tsv for validation; ice_test.tsv for test" in choose(files).told
    more = write("more.tsv", words(10))
    assert data_of(files[0], more, files[1]).train == [files[0], more]
    assert data_of(files[2]).train == files[2], "a file alone is what there is to learn from"
    with pytest.raises(DataError, match="these are for validation and test; give a file to learn from"):
        choose(files[1:])


@pytest.mark.parametrize(
    ("overrides", "aside", "share"),
    [
        ((), "validation and test", 0.1),
        (("data.validation=null",), "validation and test", 0.1),
        (("data.hold_out=0.5",), "validation and test", 0.5),
        (("data.test=dev.tsv",), "validation", 0.1),
        (("data.validation=dev.tsv",), "", None),
        (("data.validation=dev.tsv", "data.test=dev.tsv"), "", None),
        (("data.validation=dev.tsv", "data.hold_out=0.2"), "test", 0.2),
        (("data.hold_out=null",), "", None),
    ],
)
def test_what_is_held_out(overrides: tuple[str, ...], aside: str, share: float | None) -> None:
    file = write("pairs.tsv", words(40))
    write("dev.tsv", words(3))
    chosen = choose([file], overrides)
    assert isinstance(chosen.recipe.data, FilesData)
    assert chosen.recipe.data.hold_out == share
    told = (
        f"{share:.0%} of the sources, 2,000 at most for each, held out for {aside} (data.hold_out={share:g})"
        if share
        else ""
    )
    assert told in chosen.told
    assert ("held out" in chosen.told) == bool(aside)


def test_train_eval_and_on_again(call: Callable[..., Any]) -> None:
    rows = words(60)
    write("pairs.tsv", rows)
    command = ("train", "pairs.tsv", *SHORT, "model.encoder.hidden_size=8", "model.decoder.hidden_size=8")
    ended = call(*command)
    assert ended.code == 0, ended.err
    assert ended.out == ""
    told = [line for line in ended.err.splitlines() if line.startswith("pairs.tsv: ")]
    assert told == [
        "pairs.tsv: characters to characters (1.0 words to 1.0, columns 0 → 1, no header line); recipe words/monotonic-lstm "
        "(--recipe NAME takes another); 10% of the sources, 2,000 at most for each, held out for validation and test (data.hold_out=0.1)"
    ]
    assert "done: 2 steps; next: seqcli eval runs/pairs" in ended.err
    recipe = load_recipe("runs/pairs/recipe.yaml")
    assert dump_recipe(recipe) == Path("runs/pairs/recipe.yaml").read_text(encoding="utf-8")
    assert json.loads(Path("runs/pairs/data.json").read_text())["train"]["examples"] == 54
    scored = call("eval", "runs/pairs", "--json")
    assert json.loads(scored.out)["metrics"]["exact_match"]["signature"].split("|")
    again = call("train", "pairs.tsv", "training.steps=3", *command[3:])
    assert "going on with runs/pairs at step 2" in again.err
    write("pairs.tsv", [*rows, ("abcabcabc", "x")])
    other = call(*command)
    assert other.code == 3
    assert "data is not what" in other.err
    # what is held out of other data may have been learnt from
    for split in ("validation", "test"):
        refused = call("eval", "runs/pairs", "--split", split)
        assert refused.code == 3
        assert f"{split} is held out from data that has changed since runs/pairs was trained on it" in refused.err
    write("own.tsv", rows[:5])
    assert call("eval", "runs/pairs", "data.test=own.tsv").code == 0


def test_another_recipe(call: Callable[..., Any]) -> None:
    write("pairs.tsv", words(40))
    ended = call("train", "pairs.tsv", "--recipe", "g2p/monotonic-lstm", "--dry-run")
    assert ended.code == 0
    assert "recipe g2p/monotonic-lstm; 10% of the sources, 2,000 at most for each, held out" in ended.err
    assert call("train", "pairs.tsv", "--recipe", "g2p/attention", "--dry-run").code == 2
    refused = call("train", "copy", "--recipe", "dates")
    assert refused.code == 2
    assert "copy is a recipe itself" in refused.err


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.tsv", None, "none.tsv: there is no such file"),
        ("empty.tsv", b"", "empty.tsv: is empty"),
        ("blank.csv", b"\n\n", "blank.csv: is empty"),
        ("empty.jsonl", b"", "empty.jsonl: is empty"),
        ("one.tsv", b"a\nb\nc\n", "one.tsv: has one column of text, but two are needed"),
        ("one.csv", b"a;b\nc;d\n", "one.csv: has one column of text, but two are needed"),
        ("one.jsonl", b'{"text": "a", "n": 1}\n', "one.jsonl: has one column of text"),
        ("numbers.jsonl", b'{"a": 1, "b": 2}\n', "numbers.jsonl: has no column of text"),
        ("list.jsonl", b"[1, 2]\n", "list.jsonl:1: is no JSON object"),
        ("odd.jsonl", b'{"source": "a"\n', "odd.jsonl:1: is no JSON"),
        ("picture.tsv", bytes(range(256)), "picture.tsv:1: the byte 0x80 at offset 117 is not UTF-8"),
        ("zeros.tsv", b"\0\0\t\0\0\n", "zeros.tsv: is no text (it holds the byte 0)"),
        ("text.parquet", b"a\tb\n", "text.parquet: is no Parquet file that can be read"),
        ("short.tsv", b"a\tb\nc\td\ne\nf\tg\n", "short.tsv:3: has 1 columns where 2 are needed"),
        ("gone.tsv.gz", b"a\tb\n", "gone.tsv.gz: the compressed file is damaged (Not a gzipped file"),
    ],
)  # fmt: skip
def test_bad_files(call: Callable[..., Any], name: str, content: bytes | None, told: str) -> None:
    if content is not None:
        Path(name).write_bytes(content.split(b"\n", 1)[1] if name == "picture.tsv" else content)
    ended = call("train", name)
    assert ended.code == 3
    assert told in ended.err
    assert len(ended.err.strip().splitlines()) == 1
    assert not Path("runs").exists()


def test_too_few_to_hold_some_out(call: Callable[..., Any]) -> None:
    ended = call("train", write("two.tsv", WORDS[:2]))
    assert ended.code == 3
    assert "two.tsv: 2 different sources are too few to set some aside" in ended.err.splitlines()[1]
    assert call("train", "two.tsv", "data.hold_out=null", *SHORT).code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("mine.yaml",), "mine.yaml: is neither a file of pairs"),
        (("data.columns.sauce=1",), "sauce"),
        (("data={kind: dates}",), "pairs.tsv is the data; an override cannot make it dates"),
        (("nonsense.key=1",), "nonsense"),
    ],
)
def test_bad_arguments(call: Callable[..., Any], arguments: tuple[str, ...], told: str) -> None:
    write("pairs.tsv", WORDS)
    ended = call("train", "pairs.tsv", *arguments)
    assert ended.code == 2
    assert told in ended.err


def test_an_override_that_does_not_fit_the_recipe_is_told_as_ever() -> None:
    with pytest.raises(RecipeError, match=r"training\.stepps"):
        choose([write("pairs.tsv", WORDS)], ["training.stepps=1"])
