"""How fast seqcli trains, beside plain PyTorch: `make bench-train`.

For each recipe in `recipes/` the two are measured in turn, each time in a process of its own, and the medians of the rounds are
shown. Data: Multi30k en→de, tokenised (train.tok.en, train.tok.de), from the folder that SEQCLI_TEST_DATA names.

    python benchmarks/train.py [--sizes tiny,small] [--rounds 3] [--steps 12] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIZES = ("tiny", "small", "rnn", "rnn-feeding", "rnn-bahdanau")
SYSTEMS = ("seqcli", "yardstick")


def main() -> None:
    """Measure in turn, then print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", nargs=2, metavar=("SYSTEM", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure, options.steps)))
        return
    rows = []
    for size in options.sizes.split(","):
        rounds = [
            {system: measured_apart(system, size, options.steps) for system in SYSTEMS} for _ in range(options.rounds)
        ]
        flops = rounds[0]["seqcli"]["flops_per_token"]
        rows += [row(size, system, rounds, flops) for system in SYSTEMS]
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        show(rows)


def measured_apart(system: str, size: str, steps: int) -> dict[str, float]:
    """`measure` in a process of its own, whose memory is its own too."""
    command = [sys.executable, str(HERE / "train.py"), "--steps", str(steps), "--measure", system, size]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(finished.stdout)
    print(f"{size} {system}: {measured['tokens_per_second']:,.0f} tokens/s", file=sys.stderr)
    return measured


def measure(system: str, size: str, steps: int) -> dict[str, float]:
    """Train some steps with one system: its speed, its memory, and what the machine can do at this moment."""
    import torch

    from seqcli.benchmark import WARM_UP, flops_per_token, planned_batches, time_steps, training_step
    from seqcli.experiment import prepare
    from seqcli.recipe.load import load_recipe
    from seqcli.training.flops import matrix_rate

    data = Path(os.environ.get("SEQCLI_TEST_DATA", ""), "multi30k")
    sides = {"source": data / "train.tok.en", "target": data / "train.tok.de"}
    recipe = load_recipe(
        str(HERE / "recipes" / f"{size}.yaml"), [f"data.train.{side}={path}" for side, path in sides.items()]
    )
    with tempfile.TemporaryDirectory() as folder:
        experiment = prepare(recipe, Path(folder))
    batches = planned_batches(experiment, WARM_UP + steps)
    extra = {}
    if system == "seqcli":
        step = training_step(experiment)
    else:
        from yardstick import Yardstick

        vocabulary = experiment.data.target_tokenizer.size
        del experiment.model, experiment.optimizer
        step = Yardstick(recipe, vocabulary).step
    rate = matrix_rate(torch.device("cpu"))
    speed = time_steps(step, batches, torch.device("cpu"))
    rate = max(rate, matrix_rate(torch.device("cpu")))
    if system == "seqcli":
        extra["flops_per_token"] = flops_per_token(experiment)
    return {"tokens_per_second": speed.tokens_per_second, "peak_bytes": speed.peak_bytes, "matrix_rate": rate, **extra}


def row(size: str, system: str, rounds: list[dict[str, dict[str, float]]], flops: float) -> dict[str, object]:
    """Medians over the rounds; the machine's rate is that of all processes of this size."""

    def median(key: str) -> float:
        return statistics.median(each[system][key] for each in rounds)

    rate = statistics.median(each[one]["matrix_rate"] for each in rounds for one in SYSTEMS)
    ratios = [each["seqcli"]["tokens_per_second"] / each["yardstick"]["tokens_per_second"] for each in rounds]
    return {
        "size": size,
        "system": system,
        "tokens_per_second": median("tokens_per_second"),
        "gflops": flops * median("tokens_per_second") / 1e9,
        "matrix_gflops": rate / 1e9,
        "mfu": flops * median("tokens_per_second") / rate,
        "peak_mb": median("peak_bytes") / 2**20,
        "times_the_yardstick": statistics.median(ratios) if system == "seqcli" else 1.0,
    }


def show(rows: list[dict[str, object]]) -> None:
    """The table."""
    from seqcli.cli.console import data, table

    # short, so that the sizes' names are not broken in 80 columns
    columns = ["size", "system", "tokens/s", "GFLOP/s", "matrix", "MFU", "peak MB", "ratio"]
    cells = [
        [
            str(one["size"]),
            str(one["system"]),
            f"{one['tokens_per_second']:,.0f}",
            f"{one['gflops']:.1f}",
            f"{one['matrix_gflops']:.1f}",
            f"{100 * one['mfu']:.1f} %",
            f"{one['peak_mb']:,.0f}",
            f"{one['times_the_yardstick']:.2f}",
        ]
        for one in rows
    ]
    data.print(table(None, columns, cells, left=2))
    data.print(
        "tokens/s: target symbols without padding · matrix: GFLOP/s of a large product · ratio: times the yardstick"
    )


if __name__ == "__main__":
    main()
