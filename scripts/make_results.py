"""Trains shipped recipes on public data, scores them on the test sets, and writes docs/results.md: beside what is published.

    make results RESULTS="g2p scan-rnn"    groups, or single rows; all of them take many hours
    python scripts/make_results.py --render    docs/results.md anew, from what is measured already
    python scripts/make_results.py g2p-ice --again    measure what is measured already

SEQCLI_TEST_DATA names the folder of the data. What is measured is kept in docs/results.json, after each run; what stands there is not measured
again, unless its recipe has changed since. The runs lie in runs/results/, so a training that was stopped goes on. A test set is read by
`seqcli eval --split test` alone, after training has ended.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqcli.errors import RecipeError, SeqcliError
from seqcli.recipe.load import load_recipe
from seqcli.recipe.schema import Recipe
from seqcli.storage import write_file

REPOSITORY = Path(__file__).resolve().parent.parent
RUNS = Path("runs") / "results"
STORE = REPOSITORY / "docs" / "results.json"
PAGE = REPOSITORY / "docs" / "results.md"
VARIABLE = "SEQCLI_TEST_DATA"
OF_THE_PLACE = {"seed", "run", "device", "threads", "loggers"}
"""Keys of a recipe that say which run of it this is, and where; not what is learnt."""
NOT_MEASURED = "not measured"
OLDER = " †"
ERRORS = ("wer", "per", "cer", "ter", "loss", "perplexity")
"""Metrics of which less is better."""
TITLES = {"wer": "WER", "exact_match": "exact match", "bleu": "BLEU"}

Call = Callable[[list[str]], str]
"""Runs `seqcli` with these arguments, and returns what it printed."""
Record = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Rows of one table: its title, and what the data is and under which licence."""

    title: str
    data: str


@dataclass(frozen=True)
class Published:
    """A figure that is to be reached: whose it is, on the scale of the row's metric, and where it is published. Where a range is published,
    `value` is its better end and `weakest` the other."""

    system: str
    value: float
    source: str
    weakest: float | None = None


@dataclass(frozen=True)
class Result:
    """A row: a shipped recipe on a data set, with some keys set. `files` are keys and the files that they name, seen from the folder of the
    data. `label` names the row, and its runs; with `ensemble` the runs of all seeds are scored together, too."""

    group: str
    label: str
    data: str
    recipe: str
    files: dict[str, str]
    metric: str
    published: Published
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (1,)
    ensemble: bool = False
    note: str = ""

    def told(self, data: str = f"${VARIABLE}") -> list[str]:
        """The overrides, with the files in `data`: for readers by the name of the variable."""
        return [*self.overrides, *(f"{key}={data}/{file}" for key, file in self.files.items())]

    def resolved(self, data: str = f"${VARIABLE}", *more: str) -> Recipe:
        """The recipe as it is trained, its files in `data`. Raises `RecipeError`."""
        # as JSON, which is YAML, so that a folder may have any letter in its name
        files = (f"{key}={json.dumps(f'{data}/{file}', ensure_ascii=False)}" for key, file in self.files.items())
        return load_recipe(self.recipe, [*self.overrides, *files, *more])

    def arguments(self, data: Path, seed: int) -> list[str]:
        """What `seqcli train` is given."""
        files = [f"{key}={json.dumps(str(data / file), ensure_ascii=False)}" for key, file in self.files.items()]
        return [self.recipe, *self.overrides, *files, f"seed={seed}", f"run={self.folder(seed)}"]

    def folder(self, seed: int) -> Path:
        """The run directory, seen from the repository."""
        return RUNS / f"{self.label}-{seed}"


GROUPS = {
    "g2p": Group(
        "Grapheme to phoneme",
        "SIGMORPHON 2021 task 1 (WikiPron, CC BY-SA): words and their phonemes. Icelandic is of the low-resource track, 800 words to learn from "
        "and 100 to be tested on; the others of the medium one, 8,000 and 1,000",
    ),
    "inflection": Group(
        "Inflection",
        "CoNLL–SIGMORPHON 2017, Turkish, medium (Wiktionary, CC BY-SA): 1,000 forms to learn from, 1,000 to be tested on",
    ),
    "histnorm": Group(
        "Historical spelling",
        "German RIDGES, herbals of 1482–1652 (github.com/coastalcph/histnorm, CC BY 3.0): tokens and their modern spelling, 11,253 to be tested on",
    ),
    "scan": Group(
        "SCAN", "github.com/brendenlake/SCAN, simple split (BSD): 16,728 commands to learn from, 4,182 to be tested on"
    ),
    "multi30k": Group(
        "Multi30k",
        "German and English, task 1, 29,000 sentences, test_2016_flickr (research use); lower-cased and tokenised files",
    ),
}

YOYODYNE = "expected scores in the tests of Yoyodyne (github.com/CUNY-CL/yoyodyne), seed 49, one run"
ASHBY = "Ashby et al. 2021, the second SIGMORPHON shared task on multilingual grapheme-to-phoneme conversion, baseline"
BOLLMANN = "Bollmann 2019, A large-scale comparison of historical text normalization systems, table 6 (github.com/coastalcph/histnorm)"
LAKE = "the usual score on this split, at least; it is that of experiment 1 of Lake & Baroni 2018, Generalization without systematicity"
TREVETT = "github.com/bentrevett/pytorch-seq2seq, notebook 6"
WU = (
    "Wu et al. 2021, Good for misconceived reasons: An empirical revisiting on the need for visual context in multimodal machine translation "
    "(github.com/LividWo/Revisit-MMT)"
)


def table_files(train: str, validation: str, test: str) -> dict[str, str]:
    """The files of a row whose data are tables or lines."""
    return {"data.train": train, "data.validation": validation, "data.test": test}


def g2p(language: str) -> dict[str, str]:
    """The files of a language."""
    return table_files(*(f"g2p/{language}_{split}.tsv" for split in ("train", "dev", "test")))


HISTNORM = table_files(*(f"histnorm/german-ridges.{split}.tsv" for split in ("train", "dev", "test")))
# its dev split has 11,329 tokens, which take longer to write than 200 steps to train
SELDOM = "training.validate_every=1000"
SCAN = {"data.train": "scan/simple_train.txt", "data.test": "scan/simple_test.txt"}
TENFOLD = "The published figure is of ten models together."


def multi30k(source: str, target: str) -> dict[str, str]:
    """The files of a direction."""
    return {
        f"data.{split}.{side}": f"multi30k/{name}.tok.{language}"
        for split, name in (("train", "train"), ("validation", "val"), ("test", "test_2016_flickr"))
        for side, language in (("source", source), ("target", target))
    }


TOKENISED = ("data={kind: text}", "evaluation.bleu_tokenize=none")
WORDS = ("source.tokenizer.split=whitespace", "target.tokenizer.split=whitespace")
INTO_ENGLISH = Published("Transformer 3 + 3, width 256, greedy", 36.5, TREVETT)
INTO_GERMAN = Published("Transformer-Tiny 4 + 4, width 128, beam 5", 41.02, WU)

RESULTS = (
    Result(
        "g2p",
        "g2p-ice",
        "Icelandic",
        "g2p/monotonic-lstm",
        g2p("ice"),
        "wer",
        Published("LSTM with attention", 22.0, YOYODYNE),
        seeds=(1, 2, 3),
        ensemble=True,
        note="Of 100 test words one is a whole point, and the standard error of a single run's WER is 4. From the same source: GRU with attention "
        "29, LSTM without 85, Transformer 39, with rotary positions 18. Ten transducers together: 12 (Ashby et al. 2021).",
    ),
    *(
        Result(
            "g2p",
            f"g2p-{code}",
            language,
            "g2p/monotonic-lstm",
            g2p(code),
            "wer",
            Published("ten transducers together", figure, ASHBY),
            note=TENFOLD,
        )
        for code, language, figure in (("fre", "French", 8.5), ("hun", "Hungarian", 1.8), ("kor", "Korean", 16.3))
    ),
    Result(
        "inflection",
        "inflection-tur",
        "Turkish",
        "inflection/monotonic-lstm",
        table_files("inflection/turkish_train-medium.tsv", "inflection/turkish_dev.tsv", "inflection/turkish_test.tsv"),
        "exact_match",
        Published("LSTM with attention", 84.0, YOYODYNE),
        seeds=(1, 2, 3),
        ensemble=True,
        note="From the same source: Transformer 77, pointer-generator LSTM 86, Transformer with rotary positions 87.",
    ),
    Result(
        "histnorm",
        "histnorm-1000",
        "first 1,000 tokens",
        "words/monotonic-lstm",
        HISTNORM,
        "exact_match",
        Published("character models of XNMT and Marian", 65.3, BOLLMANN, weakest=60.6),
        overrides=("data.limit=1000", SELDOM),
        seeds=(1, 2, 3),
        ensemble=True,
    ),
    Result(
        "histnorm",
        "histnorm-5000",
        "first 5,000 tokens",
        "words/monotonic-lstm",
        HISTNORM,
        "exact_match",
        Published("character models of XNMT and Marian", 75.8, BOLLMANN, weakest=74.3),
        overrides=("data.limit=5000", SELDOM),
        seeds=(1, 2, 3),
        ensemble=True,
    ),
    Result(
        "scan",
        "scan-lstm",
        "simple split",
        "scan/lstm",
        SCAN,
        "exact_match",
        Published("LSTM", 99.0, LAKE),
    ),
    Result(
        "scan",
        "scan-gru",
        "simple split",
        "scan/lstm",
        SCAN,
        "exact_match",
        Published("GRU", 99.0, LAKE),
        overrides=("model.encoder.kind=gru", "model.decoder.kind=gru"),
    ),
    Result(
        "scan",
        "scan-rnn",
        "simple split",
        "scan/lstm",
        SCAN,
        "exact_match",
        Published("LSTM or GRU", 99.0, LAKE),
        overrides=("model.encoder.kind=rnn", "model.decoder.kind=rnn"),
        note="The published figure is of networks with gates, which this one has not.",
    ),
    Result(
        "scan",
        "scan-transformer",
        "simple split",
        "scan/transformer",
        SCAN,
        "exact_match",
        Published("Transformer", 99.0, LAKE),
    ),
    Result(
        "multi30k",
        "multi30k-transformer",
        "de → en",
        "multi30k/transformer",
        multi30k("de", "en"),
        "bleu",
        INTO_ENGLISH,
        overrides=(*TOKENISED, *WORDS),
    ),
    Result(
        "multi30k",
        "multi30k-tiny",
        "en → de",
        "multi30k/tiny",
        multi30k("en", "de"),
        "bleu",
        INTO_GERMAN,
        overrides=TOKENISED,
        note="The test set was read twice for this training: the mean of the last ten checkpoints, which the recipe had, has 40.7 there, and 41.3 on "
        "the validation set, by which it was given up for the moving average at the end (41.7; docs/performance.md).",
    ),
    Result(
        "multi30k",
        "multi30k-speedrun",
        "en → de",
        "multi30k/speedrun",
        multi30k("en", "de"),
        "bleu",
        INTO_GERMAN,
        overrides=TOKENISED,
        note="The aim of this recipe is 39 in the shortest time.",
    ),
    Result(
        "multi30k",
        "multi30k-speedrun-de-en",
        "de → en",
        "multi30k/speedrun",
        multi30k("de", "en"),
        "bleu",
        INTO_ENGLISH,
        overrides=(*TOKENISED, "search.beam_size=1"),
    ),
)


# What is measured


@dataclass
class Store:
    """docs/results.json: a record for each row and seed, and one for each row whose seeds are scored together. It is written whole at every
    change, so that nothing measured is lost."""

    path: Path
    records: list[Record] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Store:
        """What is there; nothing where there is no such file. Raises `SeqcliError` where it is damaged."""
        try:
            return cls(path, list(json.loads(path.read_bytes())))
        except FileNotFoundError:
            return cls(path)
        except ValueError as error:
            raise SeqcliError(f"{path} is damaged ({error}); take it from git again") from error

    def of(self, row: Result, seeds: Sequence[int]) -> Record | None:
        """What is known of a row with these seeds together (one: a single run)."""
        return next((one for one in self.records if (one["label"], one["seeds"]) == (row.label, list(seeds))), None)

    def keep(self, record: Record) -> None:
        """In the place of an older one; in the order of the list, whatever was measured first."""
        known = (record["label"], record["seeds"])
        others = [one for one in self.records if (one["label"], one["seeds"]) != known]
        order = [row.label for row in RESULTS]
        self.records = sorted(
            [*others, record],
            key=lambda one: (
                order.index(one["label"]) if one["label"] in order else len(order),
                len(one["seeds"]),
                one["seeds"],
            ),
        )
        write_file(self.path, (json.dumps(self.records, indent=1, ensure_ascii=False) + "\n").encode())


def digest(recipe: Recipe) -> str:
    """What tells whether a recipe has changed: all that it sets otherwise than the schema's defaults, but for the files of the data, the seed, and
    where it runs. A key that is new in the schema changes no recipe that does not set it."""
    plain = recipe.model_dump(mode="json", exclude_defaults=True, exclude=OF_THE_PLACE)
    plain["data"] = {key: value for key, value in plain["data"].items() if key not in ("train", "validation", "test")}
    return hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=8).hexdigest()


def measure(row: Result, data: Path, store: Store, call: Call, *, again: bool = False) -> None:
    """Train and score what is not known of a row, seed by seed, and then all seeds together; each is kept at once.

    Whatever `call` raises ends it; the same again goes on from there.
    """
    now, trained = digest(row.resolved()), set()

    def known(*seeds: int) -> bool:
        record = None if again else store.of(row, seeds)
        return record is not None and record["digest"] == now

    for seed in row.seeds:
        if known(seed):
            tell(f"{row.label}, seed {seed}: measured already")
            continue
        train(row, data, seed, call)
        trained.add(seed)
        store.keep({**about(row, [seed], now), **made_with(row.folder(seed)), **scored(row, [seed], call)})
    if row.ensemble and not known(*row.seeds):
        # a run that was measured on another machine, or removed since, is not here
        for seed in set(row.seeds) - trained:
            train(row, data, seed, call)
        store.keep({**about(row, row.seeds, now), **scored(row, row.seeds, call)})


def train(row: Result, data: Path, seed: int, call: Call) -> None:
    """Train a run, or go on with it, to its end. A run of an older state of the recipe is moved aside."""
    from seqcli.identity import refuse_changes
    from seqcli.run import RECIPE, read_recipe

    folder = row.folder(seed)
    if (folder / RECIPE).is_file():
        before, now = read_recipe(folder), row.resolved(str(data), f"seed={seed}")
        try:
            refuse_changes(now, before, folder)
            same = digest(now) == digest(before)
        except RecipeError:
            same = False
        if not same:
            names = (folder.with_name(f"{folder.name}-older-{number}") for number in itertools.count(1))
            aside = next(name for name in names if not name.exists())
            tell(f"{folder} is of an older recipe, and lies in {aside} now")
            folder.rename(aside)
    tell(f"{row.label}, seed {seed}: training")
    call(["train", *row.arguments(data, seed)])


def about(row: Result, seeds: Sequence[int], now: str) -> Record:
    """What a record is of."""
    return {
        "label": row.label,
        "seeds": list(seeds),
        "recipe": row.recipe,
        "overrides": row.told(),
        "digest": now,
        "metric": row.metric,
    }


def made_with(folder: Path) -> Record:
    """What a run was made with, and what it took: seconds without validation and checkpoints."""
    import seqcli
    from seqcli.metrics import read_records
    from seqcli.report.facts import cost_of
    from seqcli.run import ENVIRONMENT, METRICS

    environment = json.loads((folder / ENVIRONMENT).read_bytes())
    parameters = sum(one.numel() for one in seqcli.load(folder).translator.model.parameters())
    cost = cost_of(read_records(folder / METRICS), parameters)
    return {
        "commit": commit_of_code(environment.get("commit")),
        "processor": environment["processor"],
        "threads": environment["threads"],
        "device": environment["device"],
        "parameters": parameters,
        "seconds": None if cost.seconds is None else round(cost.seconds),
    }


def commit_of_code(told: str | None) -> str | None:
    """The commit that a run was made at, without `-dirty` where code and recipes are as it has them: what is measured here changes docs/ alone."""
    commit = (told or "").removesuffix("-dirty")
    if commit == (told or ""):
        return told
    compare = ["git", "-C", str(REPOSITORY), "diff", "--quiet", commit, "--", "seqcli", "recipes"]
    return commit if subprocess.run(compare, stderr=subprocess.DEVNULL).returncode == 0 else told


def scored(row: Result, seeds: Sequence[int], call: Call) -> Record:
    """The row's metric on the validation split, where there is one, and on the test split, of one run or of several together."""
    first, *others = (str(row.folder(seed)) for seed in seeds)
    together = [word for other in others for word in ("--ensemble", other)]
    splits = ["validation", "test"] if getattr(row.resolved().data, "validation", None) else ["test"]
    found = {}
    for split in splits:
        tell(f"{row.label}, {', '.join(f'seed {seed}' for seed in seeds)}: scoring {split}")
        printed = call(["eval", first, *together, "--split", split, "--json"])
        found[split] = json.loads(printed)["metrics"][row.metric]
    return {"validation": found.get("validation", {}).get("value"), "test": found["test"]}


def call_seqcli(arguments: list[str]) -> str:
    """`seqcli` in a process of its own, from the repository, as a user would call it. SystemExit where it did not end well."""
    # a Ctrl-C reaches the process too, which saves a checkpoint and then ends: wait for it
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "seqcli", *arguments],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    if ended.returncode:
        command = shlex.join(["seqcli", *arguments])
        raise SystemExit(f"{command} ended with {ended.returncode}; the same make results goes on from there")
    return ended.stdout


def tell(line: str) -> None:
    """What is going on, to stderr."""
    print(line, file=sys.stderr, flush=True)


# What is shown


def rendered(records: Store, rows: Sequence[Result] = RESULTS) -> str:
    """The page: a table for each group."""
    parts = [part for name in dict.fromkeys(row.group for row in rows) for part in group_lines(name, records, rows)]
    return "\n".join([HEAD.strip(), *parts]) + "\n"


HEAD = f"""
<!-- Made by `make results`; what is changed here is lost. -->

# Results

What shipped recipes reach on the test sets of public data, beside what is published on them. Each is trained as `seqcli train` does it, from its
shipped recipe with the keys that its table names; the test set is read once, by `seqcli eval` after training. `make results` does all of that, on the
files in the folder that `{VARIABLE}` names. It goes on where it was stopped, and keeps what it has measured in [results.json](results.json): also
the scores on the validation sets and the intervals of single runs.

Scores of several seeds are their mean ± standard deviation (n - 1); of a single run the score, with the 95 % interval of 1,000 bootstrap resamples of
the test set. *Together* is one score of all seeds, whose probabilities are averaged ([scoring.md](scoring.md#ensembles)). Training times are without
validation and checkpoints. A figure counts as reached by the mean.{OLDER} marks what was measured with an older state of its recipe.
"""


def group_lines(name: str, store: Store, rows: Sequence[Result]) -> list[str]:
    """A group: title, data, table, and what is to be known of it."""
    group, mine = GROUPS[name], [row for row in rows if row.group == name]
    metric = mine[0].metric
    arrow = "↓" if metric in ERRORS else "↑"
    title = f"{TITLES.get(metric, metric)} {arrow}"
    table = [
        f"| row | recipe | data | seeds | parameters | training | {title} | together | published | reached |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(row_line(row, store) for row in mine),
    ]
    return ["", f"## {group.title}", "", f"{group.data}.", "", *table, "", *foot_lines(name, mine, store)]


def measured(row: Result, store: Store) -> tuple[list[Record], bool]:
    """The runs of a row that its table shows, and whether they are of an older recipe: those of the present recipe where there are any."""
    found = [record for seed in row.seeds if (record := store.of(row, [seed])) is not None]
    now = digest(row.resolved())
    current = [record for record in found if record["digest"] == now]
    return (current, False) if current or not found else (found, True)


def row_line(row: Result, store: Store) -> str:
    """A row of a table."""
    runs, older = measured(row, store)
    published = f"{row.published.value:g}"
    if row.published.weakest is not None:
        published = f"{row.published.weakest:g}–{published}"
    told = f"{row.published.system}: {published}"
    recipe = " ".join(f"`{word}`" for word in (row.recipe, *row.overrides))
    if not runs:
        seeds = ", ".join(map(str, row.seeds))
        return f"| {row.label} | {recipe} | {row.data} | {seeds} | – | – | {NOT_MEASURED} | – | {told} | – |"
    scores = [record["test"]["value"] for record in runs]
    missing = [str(seed) for seed in row.seeds if [seed] not in [record["seeds"] for record in runs]]
    seeds = ", ".join(str(record["seeds"][0]) for record in runs)
    cells = [
        row.label,
        recipe,
        row.data,
        seeds + (f" (not yet {', '.join(missing)})" if missing else ""),
        " / ".join(dict.fromkeys(f"{record['parameters']:,}" for record in runs)),
        duration([record["seconds"] for record in runs if record["seconds"] is not None]),
        score_words(scores, runs[0]["test"].get("interval")) + (OLDER if older else ""),
        together_words(row, store),
        told,
        reached(row, statistics.mean(scores)),
    ]
    return f"| {' | '.join(cells)} |"


def score_words(scores: Sequence[float], interval: Sequence[float] | None) -> str:
    """The mean ± standard deviation of several runs; of one its score, with the interval."""
    mean = f"{statistics.mean(scores):.1f}"
    if len(scores) > 1:
        return f"{mean} ± {statistics.stdev(scores):.1f}"
    return mean if interval is None else f"{mean} ({interval[0]:.1f}–{interval[1]:.1f})"


def together_words(row: Result, store: Store) -> str:
    """The score of all seeds together."""
    record = store.of(row, row.seeds) if row.ensemble else None
    if record is None:
        return "–"
    older = record["digest"] != digest(row.resolved())
    return score_words([record["test"]["value"]], record["test"].get("interval")) + (OLDER if older else "")


def reached(row: Result, mean: float) -> str:
    """Whether the mean is at least as good as the published figure, as the two are shown; if not, how much is missing. Within a published range it
    is as good as some, not as all."""
    sign = -1 if row.metric in ERRORS else 1

    def missing(figure: float) -> float:
        return round(sign * (figure - round(mean, 1)), 1)

    best, weakest = row.published.value, row.published.weakest
    if missing(best) <= 0:
        return "yes"
    if weakest is None:
        return f"no, {missing(best):.1f} short"
    return "within" if missing(weakest) <= 0 else f"no, {missing(weakest):.1f} short of the range"


def duration(seconds: Sequence[float]) -> str:
    """The mean of some times, in words."""
    if not seconds:
        return "–"
    mean = statistics.mean(seconds)
    if mean < 100:
        return f"{mean:.0f} s"
    return f"{mean / 60:.0f} min" if mean < 6000 else f"{mean / 3600:.1f} h"


def foot_lines(name: str, rows: Sequence[Result], store: Store) -> list[str]:
    """What stands below a table: notes, sources, how to make it, and with what it was made."""
    notes = together([(row.note, row.label) for row in rows if row.note])
    lines = [f"- {', '.join(of)}: {note}" for note, of in notes.items()]
    sources = together([(row.published.source, row.label) for row in rows])
    lines += [f"- Published ({', '.join(of)}): {source}." for source, of in sources.items()]
    lines.append(f"- Made by `make results RESULTS={name}`, or with the name of a row.")
    runs = [record for row in rows for record in measured(row, store)[0]]
    if runs:
        machines = listed(machine(record) for record in runs)
        commits = listed(f"`{record['commit']}`" for record in runs if record["commit"])
        signatures = listed(f"`{record['test']['signature']}`" for record in runs)
        lines.append(f"- Made on {machines}{f'; commit {commits}' if commits else ''}. Signature: {signatures}.")
    return lines


def together(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """What is said of several things, once, with all that it is said of."""
    found: dict[str, list[str]] = {}
    for said, of in pairs:
        found.setdefault(said, []).append(of)
    return found


def machine(record: Record) -> str:
    """What a run was trained on."""
    threads = f"{record['threads']} thread{'s' if record['threads'] > 1 else ''}"
    where = "" if record["device"] == "cpu" else f", {record['device']}"
    return f"{record['processor']}, {threads}{where}"


def listed(words: Iterable[str]) -> str:
    """Each once, in order."""
    return "; ".join(dict.fromkeys(words))


# The command


def chosen(words: Sequence[str]) -> list[Result]:
    """The rows that are named by their groups or labels; all where none is. SystemExit where a word is neither."""
    known = {row.group for row in RESULTS} | {row.label for row in RESULTS}
    if wrong := [word for word in words if word not in known]:
        groups = ", ".join(GROUPS)
        raise SystemExit(
            f"{', '.join(wrong)}: there is no such group or row; groups are {groups}, rows stand in docs/results.md"
        )
    return [row for row in RESULTS if not words or {row.group, row.label} & set(words)]


def data_folder(rows: Sequence[Result]) -> Path:
    """The folder of the data, seen to have the files of these rows. SystemExit where it is not named, or lacks one."""
    named = os.environ.get(VARIABLE)
    if not named or not Path(named).is_dir():
        why = "is not set" if not named else f"names {named}, which is no folder"
        raise SystemExit(f"{VARIABLE} {why}; set it to the folder of the data sets (docs/contributing.md)")
    folder = Path(named).resolve()
    missing = [file for row in rows for file in row.files.values() if not (folder / file).is_file()]
    if missing:
        raise SystemExit(f"{folder} lacks {', '.join(dict.fromkeys(missing))}; put them there, or choose other groups")
    return folder


def main() -> None:
    """Measure what is chosen and not known yet, and write the page after each row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="*", help="groups, or single rows; all without any")
    parser.add_argument("--render", action="store_true", help="only write docs/results.md anew")
    parser.add_argument("--again", action="store_true", help="measure also what is measured already")
    options = parser.parse_args()
    rows = chosen(options.results)
    store = Store.read(STORE)
    if not options.render:
        folder = data_folder(rows)
        os.chdir(REPOSITORY)
        for row in rows:
            try:
                measure(row, folder, store, call_seqcli, again=options.again)
            finally:
                write_file(PAGE, rendered(store).encode())
    write_file(PAGE, rendered(store).encode())
    tell(f"wrote {PAGE.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    try:
        main()
    except SeqcliError as error:
        raise SystemExit(str(error)) from None
