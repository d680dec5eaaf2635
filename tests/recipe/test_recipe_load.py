"""What `load_recipe` tells: all mistakes at once, in order, each with its place, its value and the remedy."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from seqcli.errors import RecipeError
from seqcli.recipe.load import load_recipe, recipe_name
from seqcli.recipe.shipped import shipped_recipes

ATTENTIONS = "none, dot, scaled_dot, multiplicative, additive, content, hard_monotonic"
SOURCES = "hub, disk, files, text, lines, dates, copy, reverse, sort, shapes_captions, shapes_questions, tasks"
TASKS = "hub, disk, files, text, lines, dates, copy, reverse, sort"
KIND = "r.yaml:7:59  model.decoder.attention.kind"


def test_a_right_recipe_is_read(write, right: str) -> None:
    recipe = load_recipe(write(right))
    assert recipe.seed == 1
    assert recipe.model.encoder.kind == "gru"
    assert recipe.training.optimizer.learning_rate == 1e-3


def test_all_mistakes_are_told_at_once_in_order(mistakes) -> None:
    told = mistakes(
        """\
sed: 1
data: {kind: dates, locale: [de]}
source: {tokenizer: characters}
target: {tokenizer: {kinf: charcters, min_freq: 1}}
model:
  encoder: {kind: bilstm, d_model: 128, embedding_size: "64", bidirectional: yes}
  decoder: {kind: gru, attention: {kind: bahdanau, hiddensize: 3}, heads: 4}
  dropout: 1.5
trainnig:
  steps: 1e3
  lerning_rate: 2e-3
  optimizer: {kind: adamw, learning_rate: 0, betas: [0.9]}
  clip_norm: no
evaluation: {metrics: [loss, blue]}
""",
        "search.beam_width=3",
        "foo",
    )
    assert [line.split("  ")[:2] for line in told] == [
        ["r.yaml:1:1", "sed"],
        ["r.yaml:2:21", "data.locale"],
        ["r.yaml:3:21", "source.tokenizer"],
        ["r.yaml:4:22", "target.tokenizer.kinf"],
        ["r.yaml:4:28", "target.tokenizer.kind"],
        ["r.yaml:4:39", "target.tokenizer.min_freq"],
        ["r.yaml:6:19", "model.encoder.kind"],
        ["r.yaml:6:27", "model.encoder.d_model"],
        ["r.yaml:6:57", "model.encoder.embedding_size"],
        ["r.yaml:6:78", "model.encoder.bidirectional"],
        ["r.yaml:7:42", "model.decoder.attention.kind"],
        ["r.yaml:7:52", "model.decoder.attention.hiddensize"],
        ["r.yaml:7:68", "model.decoder.heads"],
        ["r.yaml:8:12", "model.dropout"],
        ["r.yaml:9:1", "trainnig"],
        ["r.yaml:10:10", "training.steps"],
        ["r.yaml:11:3", "training.lerning_rate"],
        ["r.yaml:12:43", "training.optimizer.learning_rate"],
        ["r.yaml:12:53", "training.optimizer.betas"],
        ["r.yaml:13:14", "training.clip_norm"],
        ["r.yaml:14:30", "evaluation.metrics.1"],
        ["command line: search.beam_width=3", "search.beam_width"],
        ["command line: foo", "an override is written key.path=value, as in training.steps=100"],
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps: 10", "stesp: 10", "r.yaml:9:3  training.stesp  unknown key; did you mean steps?"),
        (
            "steps: 10",
            "steps: 10\n  lr: 1",
            "r.yaml:10:3  training.lr  unknown key; it is called learning_rate here, and belongs in training.optimizer",
        ),
        (
            "steps: 10",
            "steps: 10\n  betas: [0, 0]",
            "r.yaml:10:3  training.betas  unknown key; it belongs in training.optimizer",
        ),
        (
            "steps: 10",
            "steps: 10\n  seed: 2",
            "r.yaml:10:3  training.seed  unknown key; it belongs in the top level, data or search.sampling",
        ),
        (
            "steps: 10",
            "steps: 10\n  batch_size: 2",
            "r.yaml:10:3  training.batch_size  unknown key; it is called batch_sentences (or count symbols with batch_tokens) here",
        ),
        ("steps: 10", "steps: ten", "r.yaml:9:10  training.steps  'ten' is not a whole number"),
        ("steps: 10", "steps: 1e3", "r.yaml:9:10  training.steps  1000.0 is not a whole number; write 1000"),
        (
            "steps: 10",
            "steps: '10'",
            "r.yaml:9:10  training.steps  '10' is not a whole number; write it without quotes",
        ),
        ("steps: 10", "steps: 0", "r.yaml:9:10  training.steps  0 is not at least 1"),
        ("steps: 10", "steps: true", "r.yaml:9:10  training.steps  true is not a whole number"),
        ("steps: 10", "steps: 10\n  clip_norm: .nan", "r.yaml:10:14  training.clip_norm  nan is not a finite number"),
        (
            "seed: 1",
            "device: gpu",
            "r.yaml:1:9  device  'gpu' is not allowed. Where to compute: auto (a CUDA GPU where there is one, else the CPU), "
            "cpu, cuda, cuda:1, mps",
        ),
        (
            "{kind: dot}",
            "{kind: bahdanau}",
            f"{KIND}  'bahdanau' is not one of {ATTENTIONS}; it is called additive here",
        ),
        ("{kind: dot}", "{kind: adidtive}", f"{KIND}  'adidtive' is not one of {ATTENTIONS}; did you mean additive?"),
        ("{kind: dot}", "{kind: 3}", f"{KIND}  3 is not one of {ATTENTIONS}"),
        ("{kind: dot}", "{kind: [dot]}", f"{KIND}  ['dot'] is not one of {ATTENTIONS}"),
        ("{kind: dot}", "{}", f"r.yaml:7:41  model.decoder.attention.kind  is missing; it is one of {ATTENTIONS}"),
        (
            "{kind: dot}",
            "null",
            "r.yaml:7:52  model.decoder.attention  null stands where a section is due; write {kind: none}",
        ),
        (
            "{kind: dot}",
            "luong",
            "r.yaml:7:52  model.decoder.attention  'luong' stands where a section is due; write {kind: multiplicative}",
        ),
        (
            "{kind: dot}",
            "[dot]",
            "r.yaml:7:52  model.decoder.attention  a list stands where a section is due; write its keys below it, indented",
        ),
        (
            "{kind: dot}",
            "{type: dot}",
            "r.yaml:7:53  model.decoder.attention.type  unknown key; it is called kind here",
        ),
        (
            "{kind: dot}",
            "{kind: dot, hidden_size: 3}",
            "r.yaml:7:64  model.decoder.attention.hidden_size  unknown key; additive has it, but the kind here is dot",
        ),
        (
            "data: {kind: dates}",
            "data: {kind: csv, train: x}",
            f"r.yaml:2:14  data.kind  'csv' is not one of {SOURCES}; it is called files with format: csv here",
        ),
        ("data: {kind: dates}", "data: {kind: files, train: 3}", "r.yaml:2:28  data.train  3 is not text or a list"),
        ("data: {kind: dates}", "data: {kind: files, train: [x, 3]}", "r.yaml:2:32  data.train.1  3 is not text"),
        (
            "data: {kind: dates}",
            "data: {kind: files, train: []}",
            "r.yaml:2:28  data.train  [] is not text or a list of 1 or more",
        ),
        (
            "data: {kind: dates}",
            "data: {kind: files}",
            "r.yaml:2:1  data.train  is missing: The file, or files, to learn from; `*` matches several.",
        ),
        (
            "data: {kind: dates}",
            "data: {kind: files, train: x, columns: {source: -1}}",
            "r.yaml:2:49  data.columns.source  -1 is not text or a number of at least 0",
        ),
        (
            "data: {kind: dates}",
            "data: {kind: dates, features_separator: ''}",
            "r.yaml:2:41  data.features_separator  '' is not text of 1 or more",
        ),
        (
            "data: {kind: dates}",
            "data: {kind: tasks, tasks: {a: {kind: tasks, tasks: {}}}}",
            f"r.yaml:2:39  data.tasks.a.kind  'tasks' is not one of {TASKS}",
        ),
        (
            "data: {kind: dates}",
            "data: {kind: tasks, tasks: {a: {kind: files, train: 3}}}",
            "r.yaml:2:53  data.tasks.a.train  3 is not text or a list",
        ),
        (
            "data: {kind: dates}",
            "data: {kind: tasks, tasks: {a: {kind: files, trian: x}}}",
            "r.yaml:2:46  data.tasks.a.trian  unknown key; did you mean train?",
        ),
        (
            "data: {kind: dates}",
            "data: {kind: tasks, tasks: {a: {kind: text, pattern: x, train: {source: a, target: b}}}}",
            "r.yaml:2:45  data.tasks.a.pattern  unknown key; lines has it, but the kind here is text",
        ),
        (
            "data: {kind: dates}",
            "data: {kind: tasks, tasks: {a: x.tsv}}",
            "r.yaml:2:32  data.tasks.a  'x.tsv' stands where a section is due; write its keys below it, indented",
        ),
        (
            "data: {kind: dates}",
            "data: {kind: tasks, tasks: {a/b: {kind: copy}}}",
            "r.yaml:2:34  data.tasks.'a/b'  'a/b' is not allowed. The data set of each task, by its name: letters, digits, - and _",
        ),
        (
            "data: {kind: dates}",
            "data: {kind: tasks, tasks: {}}",
            "r.yaml:2:28  data.tasks  a section is not keys with values, as in {key: value}",
        ),
        (
            "data: {kind: dates}",
            "data: {kind: tasks, temperature: 0.5, tasks: {a: {kind: copy}}}",
            "r.yaml:2:34  data.temperature  0.5 is not at least 1",
        ),
        (
            "steps: 10",
            "steps: 10\n  optimizer: {kind: adam, betas: [0.9]}",
            "r.yaml:10:34  training.optimizer.betas  [0.9] is not a list of exactly 2",
        ),
        (
            "steps: 10",
            "steps: 10\n  optimizer: {kind: adam, betas: [0.9, 0.99, 0.999]}",
            "r.yaml:10:34  training.optimizer.betas  [0.9, 0.99, 0.999] is not a list of exactly 2",
        ),
        ("seed: 1", "seed: 4294967296", "r.yaml:1:7  seed  4294967296 is not less than 4294967296"),
        (
            "steps: 10",
            "steps: 10\n  teacher_forcing: 1.5",
            "r.yaml:10:20  training.teacher_forcing  1.5 is not at most 1",
        ),
        (
            "data: {kind: dates}",
            "data: {kind: files, train: x, where: label}",
            "r.yaml:2:38  data.where  'label' is not keys with values, as in {key: value}",
        ),
        ("data: {kind: dates}\n", "", "r.yaml:1:1  data  is missing: Where the examples come from."),
        ("data: {kind: dates}", "data: {kind: dates, locales: [no, 1]}", "r.yaml:2:35  data.locales.1  1 is not text"),
    ],
)
def test_the_message(mistakes, right: str, old: str, new: str, message: str) -> None:
    assert old in right
    assert mistakes(right.replace(old, new)) == [message]


def test_norwegian_is_a_language(write, right: str) -> None:
    recipe = load_recipe(write(right.replace("{kind: dates}", "{kind: dates, locales: [no, de]}")))
    assert recipe.data.locales == ["no", "de"]


def test_overrides_are_written_in_turn(write, right: str) -> None:
    recipe = load_recipe(
        write(right),
        [
            "training.optimizer.kind=sgd",
            "training.optimizer.learning_rate=1e-1",
            "training.steps=5",
            "training.steps=6",
            "data={kind: text, train: {source: a, target: b}}",
            "search.beam_size=3",
            "evaluation.metrics=[loss, bleu]",
            "evaluation.metrics.0=chrf",
            "training.clip_norm=null",
            "run=a=b",
        ],
    )
    assert (recipe.training.optimizer.kind, recipe.training.optimizer.learning_rate) == ("sgd", 0.1)
    assert recipe.training.steps == 6
    assert recipe.data.train.source == "a"
    assert recipe.search.beam_size == 3
    assert recipe.evaluation.metrics == ["chrf", "bleu"]
    assert recipe.training.clip_norm is None
    assert recipe.run == "a=b"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("foo", "an override is written key.path=value, as in training.steps=100"),
        ("=3", "an override is written key.path=value, as in training.steps=100"),
        ("a..b=3", "an override is written key.path=value, as in training.steps=100"),
        ("seed=", "there is no value after seed=; for nothing write seed=null"),
        ("training.steps=", "there is no value after training.steps=; for nothing write training.steps=null"),
        ("training.epochs", "an override is written key.path=value, as in training.steps=100"),
        ("data={kind: dates", "a { is not closed before this point, or a comma is missing"),
        ("data={kind: dates, kind: copy}", "data.kind  this key was already given"),
        ("seed=*x", "seed  aliases such as *x are not read; write the value out"),
        (
            "training.lerning_rate=3",
            "training.lerning_rate  unknown key; did you mean learning_rate, which belongs in training.optimizer?",
        ),
        ("trainnig.steps=3", "trainnig  unknown key; did you mean training?"),
        ("seed.x=3", "seed  1 has no x"),
        ("evaluation.metrics.4=bleu", "evaluation.metrics  a section is not a list"),
        (
            "model.decoder.attention.kind=luong",
            f"model.decoder.attention.kind  'luong' is not one of {ATTENTIONS}; it is called multiplicative here",
        ),
        ("data={kind: files}", "data.train  is missing: The file, or files, to learn from; `*` matches several."),
        (".".join(["a"] * 33) + "=1", "the key has more than 32 parts"),
    ],
)
def test_a_wrong_override(mistakes, right: str, override: str, message: str) -> None:
    assert mistakes(right, override) == [f"command line: {override}  {message}"]


def test_a_long_override_is_shortened_in_its_message(mistakes, right: str) -> None:
    assert mistakes(right, "x" * 500) == [
        f"command line: {'x' * 77}...  an override is written key.path=value, as in training.steps=100"
    ]


def test_an_item_that_the_list_does_not_have(mistakes, right: str) -> None:
    told = mistakes(right + "evaluation: {metrics: [loss]}\n", "evaluation.metrics.1=bleu")
    assert told == ["command line: evaluation.metrics.1=bleu  evaluation.metrics  ['loss'] has no 1"]


def test_an_override_of_the_kind_keeps_the_other_keys(mistakes, right: str) -> None:
    told = mistakes(right, "model.decoder.kind=transformer")
    assert len(told) == 1
    assert told[0].startswith(
        "r.yaml:7:41  model.decoder.attention  unknown key; rnn, lstm or gru has it, but the kind here is "
    )
    assert "'model.decoder={kind: transformer, ...}'" in told[0]


def test_overrides_can_make_a_recipe_from_nothing(write) -> None:
    sections = ["data={kind: copy}", "source.tokenizer.kind=characters", "target.tokenizer.kind=characters"]
    sections += ["model.encoder.kind=gru", "model.decoder.kind=gru", "training.steps=1"]
    assert load_recipe(write(""), sections).data.kind == "copy"


def test_a_missing_file_names_shipped_recipes(write) -> None:
    write("")
    with pytest.raises(RecipeError, match=r"recipes/date\.yaml: there is no such recipe; .* similar name: dates"):
        load_recipe("recipes/date.yaml")
    with pytest.raises(RecipeError, match="multi30k/transformer"):
        load_recipe("multi30k/transfomer")
    with pytest.raises(RecipeError, match="is not a file"):
        load_recipe(".")
    for odd in ("", "a\0b", "a" * 5000):
        with pytest.raises(RecipeError, match="no such recipe"):
            load_recipe(odd)


def test_shipped_recipes_are_right_and_found_by_name(write) -> None:
    write("")
    names = list(shipped_recipes())
    assert len(names) == 35
    for name in names:
        assert load_recipe(name) == load_recipe(str(shipped_recipes()[name]))


def test_a_file_comes_before_a_shipped_recipe(write, right: str, tmp_path: Path) -> None:
    (tmp_path / "dates").write_text(right.replace("seed: 1", "seed: 77"))
    write("")
    assert load_recipe("dates").seed == 77


def test_the_name_of_a_run(write, right: str, tmp_path: Path) -> None:
    write(right)
    assert recipe_name("r.yaml") == "r"
    assert recipe_name("dates") == "dates"
    assert recipe_name("multi30k/transformer") == "multi30k-transformer"
    (tmp_path / "recipes" / "a" / "recipes" / "b").mkdir(parents=True)
    (tmp_path / "recipes" / "a" / "recipes" / "b" / "c.yaml").write_text(right)
    assert recipe_name("recipes/a/recipes/b/c.yaml") == "b-c"


def test_the_scan_recipes_pattern_fits_every_real_line(shared_data: Path) -> None:
    data = load_recipe("scan/lstm").data
    assert data.kind == "lines"
    lines = (shared_data / "scan" / "simple_train.txt").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(data.pattern, line) for line in lines]
    assert len(lines) == 16728
    assert all(match is not None and match["source"] and match["target"].startswith("I_") for match in found)


@pytest.mark.parametrize(
    ("name", "keys"), [("lstm", 4), ("gru", 4), ("attention", 4), ("transformer", 4), ("tiny", 2), ("speedrun", 2)]
)
def test_the_command_for_local_files_in_the_header_is_right(name: str, keys: int) -> None:
    text = shipped_recipes()[f"multi30k/{name}"].read_text(encoding="utf-8")
    command = re.search(r"#   (seqcli train(?:.*\\\n)+.*)", text)
    assert command is not None
    program, verb, _, *overrides = shlex.split(command[1].replace("\\\n#", ""))
    recipe = load_recipe(f"multi30k/{name}", overrides)
    assert (program, verb, len(overrides)) == ("seqcli", "train", keys)
    assert (recipe.data.kind, recipe.evaluation.bleu_tokenize) == ("text", "none")


@pytest.mark.parametrize("name", ["coco", "flickr8k", "flickr30k", "vqa-v2"])
def test_the_command_for_grids_of_features_in_the_header_is_right(name: str) -> None:
    text = shipped_recipes()[f"vision/{name}"].read_text(encoding="utf-8")
    command = re.search(r"#   (seqcli train(?:.*\\\n)+.*)", text)
    assert command is not None
    program, verb, recipe, *overrides = shlex.split(command[1].replace("\\\n#", ""))
    loaded = load_recipe(recipe, overrides)
    assert (program, verb, recipe, len(overrides)) == ("seqcli", "train", f"vision/{name}", 3)
    assert (loaded.data.kind, loaded.source.image.kind) == ("files", "features")


@pytest.mark.parametrize(("given", "found"), [("epochs=3", (None, 3)), ("steps=7", (7, None))])
def test_steps_or_epochs_of_the_command_line_count(given: str, found: tuple[int | None, int | None]) -> None:
    """Whichever of both the recipe has."""
    for name in ("dates", "multi30k/gru"):
        training = load_recipe(name, [f"training.{given}"]).training
        assert (training.steps, training.epochs) == found


@pytest.mark.parametrize(
    "overrides",
    [["training.epochs=null"], ["training={epochs: 2, steps: 3}"], ["training.steps=3", "training.epochs=2"]],
)
def test_neither_or_both_of_steps_and_epochs_are_refused(overrides: list[str]) -> None:
    with pytest.raises(RecipeError, match="give"):
        load_recipe("multi30k/gru", overrides)
