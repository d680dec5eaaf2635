"""How fast seqcli translates, beside CTranslate2 with the same weights: `make bench-translate`.

For each size in `recipes/`, and each beam size, the systems translate the same sentences in turn, each time in a process of its own, and
the medians of the rounds are shown. Data: Multi30k en→de, tokenised, from the folder that SEQCLI_TEST_DATA names; the sentences are those of
test_2016_flickr, five times. A model is trained for one step, which leaves it as good as random, and every translation is made as long as
the others; with `--run` it is a run of yours, and translations end where they end.

    python benchmarks/translate.py [--sizes tiny,small,rnn] [--beams 1,5] [--systems …] [--rounds 3] [--sentences N] [--run DIR] [--json]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SIZES, BEAMS = "tiny,small,rnn", "1,5"
FORCED = 15
"""Symbols of every translation of a model that is not trained, EOS counted: as many as are usual in Multi30k."""
WARM_UP = 64
WORKERS = 2
"""What CTranslate2 is quickest with on two cores: two workers of one thread each (one worker of two threads is slower)."""
ONE_BY_ONE = 100
"""Sentences that are translated one at a time, for the time that a user waits."""

NATIVE = {
    "seqcli": [],
    "seqcli bf16": ["search.precision=bf16"],
    "seqcli shortlist": ["search.shortlist={}"],
    "seqcli bf16+shortlist": ["search.precision=bf16", "search.shortlist={}"],
}
PEERS = {"ctranslate2": "float32", "ctranslate2 int8": "int8"}


def main() -> None:
    """Measure in turn, then print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--beams", default=BEAMS)
    parser.add_argument("--systems", default=",".join((*NATIVE, *PEERS)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=5000)
    parser.add_argument("--run", type=Path, help="a trained run, of which the only size is")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", nargs=4, metavar=("SYSTEM", "RUN", "BEAM", "FORCED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        system, run, beam, forced = options.measure
        print(json.dumps(measure(system, Path(run), int(beam), int(forced), options.sentences)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in [options.run.name] if options.run else options.sizes.split(","):
            run = options.run or untrained(size, Path(folder))
            forced = 0 if options.run else FORCED
            systems = [one for one in options.systems.split(",") if one in NATIVE or transformer(run)]
            for beam in options.beams.split(","):
                rounds = [
                    {one: measured_apart(one, run, beam, forced, options.sentences) for one in systems}
                    for _ in range(options.rounds)
                ]
                rows += [row(size, int(beam), one, rounds) for one in systems]
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        show(rows)


def data(name: str) -> Path:
    """A file of Multi30k."""
    return Path(os.environ.get("SEQCLI_TEST_DATA", ""), "multi30k", name)


def untrained(size: str, folder: Path) -> Path:
    """A run of one step."""
    run = folder / size
    sides = [f"data.train.{side}={data(f'train.tok.{end}')}" for side, end in (("source", "en"), ("target", "de"))]
    command = [sys.executable, "-m", "seqcli", "train", str(HERE / "recipes" / f"{size}.yaml"), *sides]
    few = ["training.steps=1", "training.batch_tokens=200", f"run={run}", "--quiet"]
    subprocess.run([*command, *few], check=True, stdout=sys.stderr)
    return run


def transformer(run: Path) -> bool:
    """Whether CTranslate2 can run it."""
    from seqcli.run import read_recipe

    model = read_recipe(run).model
    return model.encoder.kind == model.decoder.kind == "transformer"


def measured_apart(system: str, run: Path, beam: str, forced: int, sentences: int) -> dict[str, float]:
    """`measure` in a process of its own, whose time from start to end is the whole process's."""
    command = [sys.executable, str(HERE / "translate.py"), "--sentences", str(sentences)]
    began = time.perf_counter()
    finished = subprocess.run(
        [*command, "--measure", system, str(run), beam, str(forced)], stdout=subprocess.PIPE, text=True, check=True
    )
    measured: dict[str, float] = json.loads(finished.stdout)
    # what follows the sentences in that process is not part of translating them
    measured["whole"] = time.perf_counter() - began - measured.pop("apart")
    print(f"{run.name} beam {beam} {system}: {sentences / measured['seconds']:.1f} sentences/s", file=sys.stderr)
    return measured


def measure(system: str, run: Path, beam: int, forced: int, sentences: int) -> dict[str, float]:
    """Translate with one system: seconds, tokens, memory, and how long one sentence takes when it comes alone."""
    import torch

    from seqcli.training.flops import matrix_rate
    from seqcli.training.memory import peak_bytes

    lines = list(itertools.islice(itertools.cycle(data("test_2016_flickr.tok.en").read_text().splitlines()), sentences))
    before = time.perf_counter()
    answer = native(NATIVE[system], run, beam, forced) if system in NATIVE else peer(PEERS[system], run, beam, forced)
    answer(lines[:WARM_UP])
    loaded = time.perf_counter()
    tokens = answer(lines)
    seconds = time.perf_counter() - loaded
    peak = peak_bytes(torch.device("cpu"))
    began = time.perf_counter()
    waits = []
    for line in lines[:ONE_BY_ONE]:
        start = time.perf_counter()
        answer([line])
        waits.append(time.perf_counter() - start)
    rate = matrix_rate(torch.device("cpu"))
    return {
        "load": loaded - before,
        "seconds": seconds,
        "sentences": sentences,
        "tokens": tokens,
        "peak_bytes": peak,
        "wait": statistics.median(waits),
        "matrix_rate": rate,
        "flops": decoding_flops(run, beam, forced, lines[:: max(1, len(lines) // 128)]) if system == "seqcli" else 0.0,
        "apart": time.perf_counter() - began,
    }


Answer = Callable[[Sequence[str]], int]
"""Translates lines; how many tokens it wrote."""


def native(overrides: list[str], run: Path, beam: int, forced: int) -> Answer:
    """seqcli, in this process."""
    import seqcli

    # with all cores, whatever the run was trained with
    loaded = seqcli.load(run, ["threads=null", *overrides])
    settings = loaded.settings(beam)
    if forced:
        from dataclasses import replace

        from seqcli.evaluation.wishes import Wishes

        settings = replace(settings, wishes=Wishes(min_length=forced, max_length=forced), max_ratio=None)

    def answer(lines: Sequence[str]) -> int:
        found = loaded.hypotheses(loaded.examples(lines), settings)
        return sum(len(several[0].ids) for several in found)

    return answer


def peer(compute_type: str, run: Path, beam: int, forced: int) -> Answer:
    """CTranslate2 with the same weights, in this process; it sorts by length by itself."""
    import ctranslate2

    import seqcli
    from seqcli.export.ctranslate2 import symbol_names

    loaded = seqcli.load(run)
    with tempfile.TemporaryDirectory() as folder:
        loaded.export(Path(folder) / "model", to="ctranslate2", quantization=compute_type)
        engine = ctranslate2.Translator(
            str(Path(folder) / "model"), compute_type=compute_type, inter_threads=WORKERS, intra_threads=1
        )
    translator = loaded.translator
    names = symbol_names(translator.source_tokenizer)
    settings: dict[str, Any] = {"max_decoding_length": loaded.recipe.search.max_length}
    if forced:
        settings = {"min_decoding_length": forced, "max_decoding_length": forced}

    def answer(lines: Sequence[str]) -> int:
        encoded = [translator.encode(example) for example in loaded.examples(lines)]
        results = engine.translate_batch(
            [[names[i] for i in ids[:-1]] for ids in encoded],
            beam_size=beam,
            max_batch_size=loaded.settings(beam).sentences_together,
            batch_type="examples",
            return_end_token=True,
            **settings,
        )
        return sum(len(result.hypotheses[0]) for result in results)

    return answer


def decoding_flops(run: Path, beam: int, forced: int, lines: Sequence[str]) -> float:
    """The floating-point operations that the matrix products of translating a sentence are, the mean over some."""
    from torch.utils.flop_counter import FlopCounterMode

    from seqcli.training.flops import KERNELS

    with FlopCounterMode(display=False, custom_mapping=KERNELS) as counter:
        native(["threads=1"], run, beam, forced)(lines)
    return float(counter.get_total_flops()) / len(lines)


def row(size: str, beam: int, system: str, rounds: list[dict[str, dict[str, float]]]) -> dict[str, object]:
    """Medians over the rounds; `share` is the rate of a system over the one that the matrix products of seqcli's search would allow."""

    def median(key: str) -> float:
        return statistics.median(each[system][key] for each in rounds)

    speed = statistics.median(each[system]["sentences"] / each[system]["seconds"] for each in rounds)
    rate = statistics.median(one["matrix_rate"] for each in rounds for one in each.values())
    yardstick = [each["ctranslate2"]["seconds"] / each[system]["seconds"] for each in rounds if "ctranslate2" in each]
    flops = rounds[0].get("seqcli", {}).get("flops", 0.0)
    return {
        "size": size,
        "beam": beam,
        "system": system,
        "sentences_per_second": speed,
        "whole": statistics.median(each[system]["sentences"] / each[system]["whole"] for each in rounds),
        "tokens_per_second": statistics.median(each[system]["tokens"] / each[system]["seconds"] for each in rounds),
        "load": median("load"),
        "wait_ms": 1000 * median("wait"),
        "peak_mb": median("peak_bytes") / 2**20,
        "share": speed * flops / rate,
        "times_ctranslate2": statistics.median(yardstick) if yardstick else None,
    }


def show(rows: list[dict[str, Any]]) -> None:
    """The table."""
    from seqcli.cli.console import data as out
    from seqcli.cli.console import table

    columns = ["size", "beam", "system", "sent/s", "whole", "tok/s", "load s", "one ms", "MB", "share", "ratio"]
    cells = [
        [
            str(one["size"]),
            str(one["beam"]),
            str(one["system"]),
            f"{one['sentences_per_second']:.1f}",
            f"{one['whole']:.1f}",
            f"{one['tokens_per_second']:,.0f}",
            f"{one['load']:.1f}",
            f"{one['wait_ms']:.0f}",
            f"{one['peak_mb']:,.0f}",
            f"{100 * one['share']:.0f} %" if one["share"] else "–",
            "–" if one["times_ctranslate2"] is None else f"{one['times_ctranslate2']:.2f}",
        ]
        for one in rows
    ]
    out.print(table(None, columns, cells, left=3))
    out.print(
        "sent/s: without start and loading · whole: with them · one: a sentence that comes alone · "
        "share: of what the matrix products allow in float32 · ratio: times CTranslate2 float32"
    )


if __name__ == "__main__":
    main()
