"""A sweep: one recipe in all combinations of some values, each trained and scored, and how they compare over their seeds.

    runs/dates-sweep/
      encoder=gru,seed=1/ …     a run directory for each combination
      .sweep/recipes/*.yaml     what each of them is trained from
      .sweep/results.json       which are finished, and their scores
      .sweep/logs/*.txt         what training and scoring said

Each run is `seqcli train` and `seqcli eval` in processes of their own: it is the same to the last bit as without a sweep, and one that
fails takes no other with it. The same sweep again goes on where it stopped; with more values it adds the runs that are new.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqcli.build.batches import with_batch_tokens
from seqcli.errors import RecipeError, SeqcliError
from seqcli.evaluation.seeds import Against, Comparison, compare_over_seeds
from seqcli.identity import refuse_changes
from seqcli.recipe.dump import dump_recipe
from seqcli.recipe.load import load_recipe
from seqcli.recipe.sweep import Axis, combinations
from seqcli.run import CHECKPOINTS, RECIPE, read_recipe
from seqcli.storage import write_file

WAIT = 30.0
"""Seconds that a sweep waits for the processes of one that was killed to see that it is gone."""
HEARD = 20
"""The last lines of what a process said that are searched for why it failed."""
Tell = Callable[[str, str], None]


@dataclass(frozen=True)
class SweepRun:
    """One combination: its name, the values in it but for the seed, the seed, its folder, and its whole recipe as YAML."""

    name: str
    settings: tuple[tuple[str, str], ...]
    seed: int
    folder: Path
    recipe: str

    @property
    def digest(self) -> str:
        """What tells whether its recipe has changed."""
        return hashlib.blake2b(self.recipe.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Failure:
    """Why a run has no scores, and the exit code of what failed."""

    run: str
    exit_code: int
    message: str

    def as_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return {"run": self.run, "exit_code": self.exit_code, "message": self.message}


@dataclass(frozen=True)
class Plan:
    """All runs of a sweep in order, and the combinations that make no valid recipe."""

    folder: Path
    runs: tuple[SweepRun, ...]
    invalid: tuple[Failure, ...]


def plan_sweep(recipe: str, axes: Sequence[Axis], folder: Path) -> Plan:
    """Read the recipe in all combinations. RecipeError if none of them is valid, or `folder` holds a run of another recipe by the same name."""
    runs, invalid = [], []
    for combination in combinations(axes):
        place = folder / combination.name
        try:
            resolved = load_recipe(recipe, combination.overrides)
        except RecipeError as error:
            invalid.append(Failure(combination.name, error.exit_code, str(error)))
            continue
        if (place / RECIPE).is_file():
            before = read_recipe(place)
            # auto has become a number there
            auto = resolved.training.batch_tokens == "auto"
            now = with_batch_tokens(resolved, before.training.batch_tokens) if auto else resolved
            refuse_changes(now, before, place)
        text = dump_recipe(resolved.model_copy(update={"run": None}))
        runs.append(SweepRun(combination.name, combination.settings, resolved.seed, place, text))
    if not runs:
        raise RecipeError("\n".join(dict.fromkeys(failure.message for failure in invalid)))
    return Plan(folder, tuple(runs), tuple(invalid))


@dataclass
class Sweep:
    """A plan on its way. `tell` is given a run's name and a line of what is going on, from any thread."""

    plan: Plan
    split: str = "test"
    metrics: str | None = None
    tell: Tell = lambda name, line: None
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    stopped_by: int | None = None

    def __post_init__(self) -> None:
        self._guard = threading.Lock()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._failed = {failure.run: failure for failure in self.plan.invalid}

    @property
    def failures(self) -> list[Failure]:
        """What has no scores and why: first the combinations that are no valid recipes, then in the order of the runs."""
        order = [*(failure.run for failure in self.plan.invalid), *(run.name for run in self.plan.runs)]
        return [self._failed[name] for name in order if name in self._failed]

    def run(self, jobs: int = 1) -> None:
        """Train and score what is not finished, `jobs` at a time; `scores` and `failures` are then known.

        Raises `SeqcliError` where another sweep is at work in the folder, `StorageError` where it cannot be written.
        """
        with _only_one(self._own / "lock") as lock:
            self._results: dict[str, Any] = _read_results(self._own / "results.json")
            for run in self.plan.runs:
                write_file(self._own / "recipes" / f"{run.name}.yaml", run.recipe.encode())
            with ThreadPoolExecutor(jobs) as pool:
                work = [pool.submit(self._finish, run, jobs, lock) for run in self.plan.runs]
                # in small pieces, between which Python lets signals in
                while wait(work, timeout=0.2).not_done:
                    pass
            for each in work:
                each.result()

    def send(self, number: int) -> None:
        """Pass a signal on to what is running. After one that ends (SIGINT, SIGTERM) no other run is begun."""
        if number in (signal.SIGINT, signal.SIGTERM):
            self.stopped_by = number
        for process in list(self._processes.values()):
            if process.poll() is None:
                process.send_signal(number)

    @property
    def _own(self) -> Path:
        # hidden, so that runs/dates-sweep/* names the runs
        return self.plan.folder / ".sweep"

    def _finish(self, run: SweepRun, jobs: int, lock: int | None) -> None:
        """One run, from wherever it stands to its scores."""
        known = self._results.get(run.name, {})
        if known.get("digest") != run.digest or not (run.folder / CHECKPOINTS).is_dir():
            known = {"digest": run.digest, "scores": {}}
            began = time.monotonic()
            self.tell(run.name, "training")
            snapshot = self._own / "recipes" / f"{run.name}.yaml"
            # JSON is YAML: a folder may have any letter in its name
            where = f"run={json.dumps(str(run.folder), ensure_ascii=False)}"
            if self._process(run.name, ["train", str(snapshot), where], jobs, lock) is None:
                return
            self._keep(run.name, {**known, "seconds": round(time.monotonic() - began, 1)})
        asked = f"{self.split} {self.metrics or ''}".strip()
        if asked not in known["scores"]:
            self.tell(run.name, "scoring")
            metrics = [] if self.metrics is None else ["--metrics", self.metrics]
            arguments = ["eval", str(run.folder), "--split", self.split, "--json", "--no-intervals", *metrics]
            out = self._process(run.name, arguments, jobs, lock)
            if out is None:
                return
            # JSON has null for what is no number
            told = {name: metric["value"] for name, metric in json.loads(out)["metrics"].items()}
            found = {name: math.nan if value is None else value for name, value in told.items()}
            known = {**self._results.get(run.name, known), "scores": {**known["scores"], asked: found}}
            self._keep(run.name, known)
            self.tell(run.name, "  ".join(f"{name} {value:.4g}" for name, value in found.items()))
        self.scores[run.name] = known["scores"][asked]

    def _process(self, name: str, arguments: list[str], jobs: int, lock: int | None) -> str | None:
        """What `seqcli` with these arguments has printed; None where it failed, which is noted, or was stopped."""
        if self.stopped_by is not None:
            return None
        log = self._own / "logs" / f"{name}.txt"
        log.parent.mkdir(parents=True, exist_ok=True)
        last: deque[str] = deque(maxlen=HEARD)
        with log.open("a", encoding="utf-8") as kept, _start(arguments, jobs, lock) as process:
            self._processes[name] = process
            # one that came while the process was being started
            if self.stopped_by is not None:
                process.send_signal(self.stopped_by)
            printed: list[str] = []
            reader = threading.Thread(target=lambda: printed.append(process.stdout.read() if process.stdout else ""))
            reader.start()
            for line in process.stderr or ():
                kept.write(line)
                kept.flush()
                last.append(line.rstrip("\n"))
                self.tell(name, last[-1])
            reader.join()
            code = process.wait()
        del self._processes[name]
        if code == 0:
            return printed[0]
        if self.stopped_by is None:
            reason = f"{_reason(code, last)} (all that it said: {log})"
            failure = Failure(name, code if code > 0 else 128 - code, reason)
            self._failed[name] = failure
            self.tell(name, f"failed: {failure.message}")
        return None

    def _keep(self, name: str, result: dict[str, Any]) -> None:
        with self._guard:
            self._results[name] = result
            write_file(self._own / "results.json", (json.dumps(self._results, indent=1) + "\n").encode())


def _start(arguments: list[str], jobs: int, lock: int | None) -> subprocess.Popen[str]:
    threads = {} if jobs == 1 else {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))}
    return subprocess.Popen(
        [sys.executable, "-m", "seqcli", *arguments],
        env={**threads, **os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        # a Ctrl-C at the terminal would reach it by itself, and again from us
        start_new_session=True,
        # it holds the lock as long as it lives, also when this process is killed
        pass_fds=() if lock is None else (lock,),
    )


def _reason(code: int, said: Sequence[str]) -> str:
    """Why a process has ended badly: a signal's name, or the last thing it said."""
    if code < 0:
        return f"it was killed by {signal.Signals(-code).name}"
    return next((line.strip() for line in reversed(said) if line.strip()), f"it ended with exit code {code}")


@contextmanager
def _only_one(path: Path) -> Iterator[int | None]:
    """A block that one process at a time is in, or the processes it has started; raises `SeqcliError` if that takes too long.

    A sweep that was killed leaves a training behind, which ends at the next line that it cannot tell anybody.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        end = time.monotonic() + WAIT
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise SeqcliError(
                        f"another sweep is at work in {path.parent.parent}, or what one that was killed has left; "
                        "wait for its end, or name another folder with --output"
                    ) from None
                time.sleep(0.2)
        yield stream.fileno()


def _read_results(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SeqcliError(f"{path} is damaged ({error}); remove it, and the finished runs are scored anew") from error


@dataclass(frozen=True)
class Setting:
    """Values of the keys but the seed, how many runs it should have, the scores of those that it has, and each metric over them."""

    settings: tuple[tuple[str, str], ...]
    planned: int
    runs: Mapping[str, Mapping[str, float]]
    metrics: Mapping[str, Comparison]


def compare_settings(
    plan: Plan, scores: Mapping[str, Mapping[str, float]], *, against: Against = "first"
) -> list[Setting]:
    """The runs of a sweep by their settings, each metric over the seeds, compared with the first setting or that with the best mean."""
    members: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for run in plan.runs:
        members.setdefault(run.settings, []).append(run.name)
    present = [{run: scores[run] for run in runs if run in scores} for runs in members.values()]
    names = dict.fromkeys(name for runs in present for found in runs.values() for name in found)
    compared = {
        name: compare_over_seeds([[found[name] for found in runs.values()] for runs in present], name, against=against)
        for name in names
    }
    found = []
    for place, ((settings, planned), runs) in enumerate(zip(members.items(), present, strict=True)):
        metrics = {name: one for name in names if (one := compared[name][place]) is not None}
        found.append(Setting(settings, len(planned), runs, metrics))
    return found
