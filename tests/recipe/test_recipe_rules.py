"""The rules that tie keys together: each is broken here, and kept by a recipe next to it."""

from __future__ import annotations

import pytest

from seqcli.recipe.image_rules import IMAGE_RULES
from seqcli.recipe.rules import RULES

TRANSFORMER = "{kind: transformer, hidden_size: 16, heads: 4, feedforward_size: 8}"
FILES = "data={kind: files, train: a.tsv, columns: {source: 0, target: 1}}"
TASKS = "data={kind: tasks, tasks: {a: %s, b: {kind: copy}}}"
LINES = "data={kind: lines, train: a, pattern: '%s'}"

BROKEN: dict[str, tuple[list[str], str, str]] = {
    "steps and epochs": (
        ["training.steps=1", "training.epochs=1"],
        "training.epochs",
        "steps is given too; give one of them",
    ),
    "neither": (["training.steps=null"], "training.steps", "is missing; give steps, or epochs"),
    "dot of two widths": (
        ["model.encoder.bidirectional=true"],
        "model.decoder.attention.kind",
        "the decoder has 16 and the memory 32; set model.decoder.hidden_size to 32, or choose multiplicative",
    ),
    "scaled dot over a transformer": (
        ["model.decoder.attention.kind=scaled_dot", "model.encoder={kind: transformer, hidden_size: 32}"],
        "model.decoder.attention.kind",
        "the memory 32",
    ),
    "order without attention": (
        ["model.decoder.attention.kind=none", "model.decoder.order=bahdanau"],
        "model.decoder.order",
        "nothing to order",
    ),
    "feeding without attention": (
        ["model.decoder.attention.kind=none", "model.decoder.input_feeding=true"],
        "model.decoder.input_feeding",
        "nothing to feed",
    ),
    "hard monotonic in the wrong order": (
        ["model.decoder.attention.kind=hard_monotonic", "model.decoder.order=bahdanau"],
        "model.decoder.order",
        "enters no recurrent step; leave order and input_feeding out, or choose additive",
    ),
    "hard monotonic over a picture": (
        [
            "source={image: {kind: pixels, width: 8, height: 8}}",
            "data={kind: shapes_captions}",
            "model.encoder={kind: conv, hidden_size: 32}",
            "model.decoder.attention.kind=hard_monotonic",
        ],
        "model.decoder.attention.kind",
        "a picture has no such order; choose additive",
    ),
    "hard monotonic with a short list": (
        ["model.decoder.attention.kind=hard_monotonic", "search.shortlist={}"],
        "search.shortlist",
        "hard_monotonic has one for each place; leave it out",
    ),
    "feeding in the wrong order": (
        ["model.decoder.input_feeding=true", "model.decoder.order=bahdanau"],
        "model.decoder.input_feeding",
        "only the order luong",
    ),
    "a decoder that never sees the source": (
        ["model.decoder.attention.kind=none", "model.decoder.bridge=zeros"],
        "model.decoder.bridge",
        "never sees the source",
    ),
    "a decoder that never sees the source, whatever its layers": (
        [
            "model.decoder.attention={kind: none, feed_summary: false}",
            "model.decoder.bridge=zeros",
            "model.decoder.layers=2",
        ],
        "model.decoder.bridge",
        "never sees the source",
    ),
    "copy of layers": (
        ["model.decoder.bridge=copy", "model.decoder.layers=2"],
        "model.decoder.bridge",
        "there are 1 and 2 layers",
    ),
    "copy of another family": (
        ["model.decoder.bridge=copy", "model.decoder.kind=lstm"],
        "model.decoder.bridge",
        "not gru and lstm",
    ),
    "copy of another width": (
        ["model.decoder.bridge=copy", "model.encoder.bidirectional=true", "model.decoder.attention.kind=additive"],
        "model.decoder.bridge",
        "the encoder's have 32 and the decoder's 16",
    ),
    "copy from a transformer": (
        ["model.decoder.bridge=copy", f"model.encoder={TRANSFORMER}"],
        "model.decoder.bridge",
        "the encoder is transformer",
    ),
    "going back with one checkpoint": (
        ["training.spikes.rewind=3", "training.keep_checkpoints=1"],
        "training.keep_checkpoints",
        "spikes.rewind needs 2 or more",
    ),
    "radius of zeros": (
        ["model.initialization={recurrent: zeros, recurrent_radius: 1.5}"],
        "model.initialization.recurrent_radius",
        "a matrix of zeros has no other spectral radius",
    ),
    "heads": ([f"model.encoder={TRANSFORMER}", "model.encoder.heads=3"], "model.encoder.heads", "3 heads cannot share"),
    "rotary": (
        [f"model.decoder={TRANSFORMER}", "model.decoder.heads=16", "model.decoder.positions=rotary"],
        "model.decoder.heads",
        "not 1",
    ),
    "distance of an encoder": (
        [f"model.encoder={TRANSFORMER}", "model.encoder.max_distance=4"],
        "model.encoder.max_distance",
        "is for relative positions, and these are sinusoidal",
    ),
    "distance of a decoder": (
        [f"model.decoder={TRANSFORMER}", "model.decoder.positions=rotary", "model.decoder.max_distance=16"],
        "model.decoder.max_distance",
        "is for relative positions, and these are rotary",
    ),
    "learned positions": (
        [f"model.decoder={TRANSFORMER}", "model.decoder.positions=learned", "model.decoder.max_positions=100"],
        "search.max_length",
        "200 is more than the 100 learned positions",
    ),
    "tie without a shared vocabulary": (["model.tie=source_target"], "model.tie", "needs one vocabulary"),
    "tie of two widths": (
        ["model.tie=source_target", "target.tokenizer.kind=shared", "model.encoder.embedding_size=8"],
        "model.tie",
        "one width, not 8 and 256",
    ),
    "tie of the output": (["model.tie=target_output"], "model.tie", "(16) to be its embedding_size (256)"),
    "tie with a feedforward decoder": (
        ["model.tie=target_output", "model.decoder={kind: feedforward}"],
        "model.tie",
        "a feedforward decoder has none",
    ),
    "plateau without validation": (
        [FILES, "training.schedule.kind=plateau"],
        "training.schedule.kind",
        "validation split",
    ),
    "stopping without validation": (
        [FILES, "training.early_stopping={}"],
        "training.early_stopping",
        "validation split",
    ),
    "hub without validation": (
        ["data={kind: hub, name: x, splits: {validation: null}}", "training.early_stopping={}"],
        "training.early_stopping",
        "validation split",
    ),
    "best metric": (["training.best_metric=wer"], "training.best_metric", "wer is not measured"),
    "teacher forcing": (
        [f"model.decoder={TRANSFORMER}", "training.teacher_forcing=0.5"],
        "training.teacher_forcing",
        "needs a recurrent decoder, not transformer",
    ),
    "scheduled sampling in a feed-forward decoder": (
        ["training.scheduled_sampling={}", "model.decoder={kind: feedforward}"],
        "training.scheduled_sampling",
        "a feedforward decoder reads none; set it to null",
    ),
    "scheduled sampling at two rates": (
        ["training.scheduled_sampling={decay: linear}", "training.teacher_forcing=0.5"],
        "training.teacher_forcing",
        "set teacher_forcing: 1 or scheduled_sampling: null",
    ),
    "a sharded model compiled": (
        ["training.sharding=full", "training.compile=true"],
        "training.compile",
        "set compile: false or sharding: none",
    ),
    "r-drop without dropout": (["training.r_drop=5", "model.dropout=0.0"], "training.r_drop", "raise model.dropout"),
    "r-drop without any dropout": (
        ["training.r_drop=5", "model.dropout=0.0", "model.embedding_dropout=0.0"],
        "training.r_drop",
        "there is none",
    ),
    "doubly stochastic without attention": (
        ["training.doubly_stochastic=1", "model.decoder.attention.kind=none"],
        "training.doubly_stochastic",
        "it has no attention; choose one",
    ),
    "doubly stochastic in a feed-forward decoder": (
        ["training.doubly_stochastic=0", "model.decoder={kind: feedforward}"],
        "training.doubly_stochastic",
        "or set it to null",
    ),
    "doubly stochastic and compiled": (
        ["training.doubly_stochastic=1", "training.compile=true"],
        "training.compile",
        "set compile: false or doubly_stochastic: null",
    ),
    "a coverage loss without attention": (
        ["training.coverage_loss=1", "model.decoder.attention.kind=none"],
        "training.coverage_loss",
        "it has no attention; choose one, or set it to null",
    ),
    "a coverage loss, compiled": (
        ["training.coverage_loss=1", "training.compile=true"],
        "training.compile",
        "set compile: false or coverage_loss: null",
    ),
    "coverage in hops": (
        ["model.decoder.attention={kind: additive, coverage: true, hops: 2}"],
        "model.decoder.attention.coverage",
        "there are 2 hops; set hops to 1, or coverage to false",
    ),
    "copying without attention": (
        ["model.copying=true", "model.decoder.attention.kind=none"],
        "model.copying",
        "it has no attention; choose one, or set copying to false",
    ),
    "copying in a feed-forward decoder": (
        ["model.copying=true", "model.decoder={kind: feedforward}"],
        "model.copying",
        "it has no attention",
    ),
    "copying from an image": (
        [
            "model.copying=true",
            "data={kind: shapes_questions}",
            "source.image={kind: pixels, width: 64, height: 64}",
            "model.encoder={kind: image_text, image: {kind: conv, hidden_size: 16}, text: {kind: gru, hidden_size: 16}}",
        ],
        "model.copying",
        "an image has none; set copying to false",
    ),
    "unknown letters of an image": (
        [
            "training.unknown_rate=0.1",
            "search.unknown=true",
            "source={image: {kind: pixels, width: 8, height: 8}}",
            "data={kind: shapes_captions}",
            "model.encoder={kind: conv, hidden_size: 32}",
            "model.decoder.attention.kind=additive",
        ],
        "training.unknown_rate",
        "an image has none; set it to 0",
    ),
    "copies of an image's letters": (
        [
            "search.unknown=copied",
            "source={image: {kind: pixels, width: 8, height: 8}}",
            "data={kind: shapes_captions}",
            "model.encoder={kind: conv, hidden_size: 32}",
            "model.decoder.attention.kind=additive",
        ],
        "search.unknown",
        "an image has none; set it to true or false",
    ),
    "unknown letters that may not be written": (
        ["training.unknown_rate=0.1"],
        "training.unknown_rate",
        "which search.unknown forbids; set that to copied, or this to 0",
    ),
    "copying, compiled": (
        ["model.copying=true", "training.compile=true"],
        "training.compile",
        "set compile: false or model.copying: false",
    ),
    "copying over a list": (
        ["model.copying=true", "search.shortlist={}"],
        "search.shortlist",
        "may not be on it; leave it out, or set model.copying to false",
    ),
    "lengths": (["data={kind: copy, shortest: 5, longest: 4}"], "data.shortest", "5 is more than longest, 4"),
    "lengths of a task": ([TASKS % "{kind: copy, shortest: 5, longest: 4}"], "data.tasks.a.shortest", "5 is more than"),
    "groups of a task": (
        [TASKS % "{kind: files, train: a.jsonl, columns: {group: language}}"],
        "data.tasks.a.columns.group",
        "the tasks are the groups that scores are told apart by",
    ),
    "columns of a task": (
        [TASKS % "{kind: files, train: a.csv, columns: {source: 0}}"],
        "data.tasks.a.columns.target",
        "by number too, as source",
    ),
    "cells of a task": (
        [TASKS % "{kind: files, train: a.tsv, where: {x: 1}}"],
        "data.tasks.a.where.x",
        "write it in quotes",
    ),
    "pattern of a task": (
        [TASKS % "{kind: lines, train: a, pattern: '(?P<source>.*)'}"],
        "data.tasks.a.pattern",
        "has no group named target",
    ),
    "nothing to hold out for in a task": (
        [TASKS % "{kind: files, train: a.tsv, validation: b.tsv, test: c.tsv, hold_out: 0.1}"],
        "data.tasks.a.hold_out",
        "leave hold_out out, or set data.tasks.a.validation or data.tasks.a.test to null",
    ),
    "no task to watch": (
        ["data={kind: tasks, tasks: {a: {kind: files, train: a.tsv}}}", "training.early_stopping={}"],
        "training.early_stopping",
        "needs a validation split",
    ),
    "numbered columns of the hub": (
        ["data={kind: hub, name: x, columns: {source: 0, target: x}}"],
        "data.columns.source",
        "only CSV and TSV",
    ),
    "numbered columns of jsonl": (
        ["data={kind: files, train: [a.tsv, b.jsonl.gz], columns: {source: a, target: 1}}"],
        "data.columns.target",
        "only CSV and TSV",
    ),
    "columns by number and name": (
        ["data={kind: files, train: a.csv.gz, columns: {source: 0}}"],
        "data.columns.target",
        "by number too, as source",
    ),
    "pattern": ([LINES % "(?P<source>.*"], "data.pattern", "is not a regular expression"),
    "pattern without groups": ([LINES % "(?P<source>.*)"], "data.pattern", "has no group named target"),
    "groups of different sizes": (
        ["search.beam_size=5", "search.diverse_groups=2"],
        "search.diverse_groups",
        "5 hypotheses cannot be shared out evenly among 2 groups; set search.beam_size to a multiple of 2",
    ),
    "diversity of one group": (["search.diversity=1"], "search.diversity", "set search.diverse_groups too"),
    "groups of samples": (
        ["search.beam_size=4", "search.diverse_groups=2", "search.sampling={}"],
        "search.diverse_groups",
        "leave one of both out",
    ),
    "samples from a short list": (
        ["search.shortlist={}", "search.sampling={}"],
        "search.shortlist",
        "leave one of both out",
    ),
    "constrained samples": (["search.constraints=[a]", "search.sampling={}"], "search.constraints", "need a beam"),
    "constrained groups": (
        ["search.beam_size=4", "search.diverse_groups=2", "search.constraints=[a]"],
        "search.constraints",
        "share out the beam in their own way",
    ),
    "nothing to hold out for": (
        ["data={kind: files, train: a.tsv, validation: b.tsv, test: c.tsv, hold_out: 0.1}"],
        "data.hold_out",
        "leave hold_out out, or set data.validation or data.test to null",
    ),
    "nothing to hold out for on the hub": (
        ["data={kind: hub, name: somebody/pairs, hold_out: 0.1}"],
        "data.hold_out",
        "set data.splits.validation or data.splits.test to null",
    ),
    "power of nothing": (
        ["search.length_normalization=none", "search.length_penalty=0.6"],
        "search.length_penalty",
        "set length_normalization to average or gnmt",
    ),
    "longer than the longest": (
        ["search.min_length=9", "search.max_length=8"],
        "search.min_length",
        "more than search.max_length, 8",
    ),
    "shared in another case": (
        ["target.tokenizer.kind=shared", "source.lowercase=true"],
        "target.lowercase",
        "false, but the shared tokenizer is the source's, whose lowercase is true; give both the same",
    ),
    "shared in another form": (
        ["target.tokenizer.kind=shared", "target.normalize=nfc"],
        "target.normalize",
        "'nfc', but the shared tokenizer is the source's, whose normalize is 'none'; give both the same",
    ),
    "nesterov without momentum": (
        ["training.optimizer={kind: sgd, nesterov: true}"],
        "training.optimizer.nesterov",
        "raise momentum, as to 0.9, or leave nesterov out",
    ),
    "a number in a table": (
        ["data={kind: files, train: a.tsv, where: {label: 1}}"],
        "data.where.label",
        "1 is in no cell of CSV or TSV, where all is text; write it in quotes, as '1'",
    ),
    "true in a table": (
        ["data={kind: files, train: a.txt, format: csv, where: {good: true}}"],
        "data.where.good",
        "write it in quotes, as 'true'",
    ),
    "coverage without attention": (
        ["search.coverage_penalty=0.2", "model.decoder.attention.kind=none"],
        "search.coverage_penalty",
        "this decoder has none",
    ),
}

KEPT = [
    ["training.steps=null", "training.epochs=1"],
    ["model.encoder.bidirectional=true", "model.decoder.hidden_size=32"],
    ["model.encoder={kind: feedforward, hidden_size: 16}"],
    ["model.decoder.input_feeding=true"],
    ["model.decoder.order=bahdanau"],
    ["model.decoder.bridge=copy"],
    ["model.decoder.bridge=copy", "model.encoder.kind=rnn"],
    [f"model.encoder={TRANSFORMER}", f"model.decoder={TRANSFORMER}", "model.decoder.positions=rotary"],
    [f"model.decoder={TRANSFORMER}", "model.decoder.positions=learned"],
    [f"model.encoder={TRANSFORMER}", "model.encoder.positions=relative"],
    [f"model.decoder={TRANSFORMER}", "model.decoder.positions=relative", "model.decoder.max_distance=4"],
    [
        "model.tie=all",
        "target.tokenizer.kind=shared",
        "model.decoder.embedding_size=16",
        "model.encoder.embedding_size=16",
    ],
    ["model.tie=all", "target.tokenizer.kind=shared", f"model.encoder={TRANSFORMER}", f"model.decoder={TRANSFORMER}"],
    ["training.schedule.kind=plateau", "training.early_stopping={}"],
    ["training.best_metric=bleu"],
    ["target.tokenizer.kind=shared", "source.lowercase=true", "target.lowercase=true", "source.reverse=true"],
    ["training.optimizer={kind: sgd, nesterov: true, momentum: 0.9}"],
    ["data={kind: files, train: a.tsv, where: {label: '1'}}"],
    ["data={kind: files, train: a.jsonl, where: {label: 1, good: true}}"],
    ["training.teacher_forcing=0.5"],
    ["training.r_drop=5"],
    [
        "training.scheduled_sampling={decay: exponential, pick: best}",
        "training.r_drop=5",
        "training.doubly_stochastic=1",
    ],
    ["training.scheduled_sampling={}", f"model.decoder={TRANSFORMER}", "model.copying=true"],
    ["training.r_drop=5", "model.dropout=0.0", "model.embedding_dropout=0.1"],
    ["training.doubly_stochastic=1", "training.r_drop=5", "training.teacher_forcing=0.5"],
    ["training.doubly_stochastic=0.5", f"model.decoder={TRANSFORMER}"],
    ["model.decoder.attention={kind: additive, gate: true, hops: 2}"],
    [
        "model.decoder.attention={kind: additive, gate: true, coverage: true}",
        "model.copying=true",
        "training.coverage_loss=1",
    ],
    ["training.coverage_loss=0.5", "training.doubly_stochastic=1", f"model.decoder={TRANSFORMER}"],
    ["model.copying=true", "training.r_drop=5", "training.teacher_forcing=0.5", "training.doubly_stochastic=1"],
    ["model.copying=true", f"model.decoder={TRANSFORMER}", "training.precision=bf16"],
    ["data={kind: sort, shortest: 4, longest: 4}"],
    [TASKS % "{kind: files, train: a.tsv, where: {x: '1'}, hold_out: 0.1}", "training.early_stopping={}"],
    ["data={kind: tasks, tasks: {a: {kind: files, train: a.tsv}, b: {kind: copy}}}", "training.early_stopping={}"],
    ["model.initialization={recurrent: normal, recurrent_radius: 1.5}"],
    [FILES],
    ["data={kind: files, train: a.tsv, test: c.tsv, hold_out: 0.1}", "training.early_stopping={}"],
    ["data={kind: files, format: tsv, train: x.txt, columns: {source: 0, target: 1, features: 2}}"],
    [LINES % "(?P<source>.*) (?P<target>.*)"],
    ["search.beam_size=6", "search.diverse_groups=3", "search.diversity=1", "search.coverage_penalty=0.2"],
    ["search.length_normalization=none", "search.patience=null", "search.min_length=3", "search.constraints=[a]"],
    ["search.shortlist={best: 20}", "search.precision=auto", "search.beam_size=4", "search.constraints=[a]"],
    ["search.sampling={top_k: 5, temperature: 0.7}", "search.prefix=a", "search.avoid=[b]", "search.no_repeat_ngram=3"],
]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_told(mistakes, right: str, name: str) -> None:
    overrides, path, message = BROKEN[name]
    told = mistakes(right, *overrides)
    assert len(told) == 1
    assert f"  {path}  " in told[0]
    assert message in told[0]


@pytest.mark.parametrize("overrides", KEPT, ids=" ".join)
def test_a_kept_rule_is_silent(mistakes, right: str, overrides: list[str]) -> None:
    assert mistakes(right, *overrides) == []


def test_every_rule_is_broken_above() -> None:
    assert len(RULES) - len(IMAGE_RULES) == 35
    assert len(BROKEN) >= 2 * (len(RULES) - len(IMAGE_RULES))


def test_broken_rules_are_told_together_and_placed(mistakes, right: str) -> None:
    text = right.replace("steps: 10", "steps: 10\n  epochs: 3\n  teacher_forcing: 0.5")
    text = text.replace("{kind: gru, hidden_size: 16, attention: {kind: dot}}", "{kind: feedforward}\n  tie: all")
    told = mistakes(text, "training.best_metric=wer")
    assert [line.split("  ")[0] for line in told] == [
        "r.yaml:8:8",
        "r.yaml:11:11",
        "r.yaml:12:20",
        "command line: training.best_metric=wer",
    ]
