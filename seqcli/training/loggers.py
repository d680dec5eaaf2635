"""Where the records of a run go beside `metrics.jsonl`: TensorBoard, Weights & Biases, trackio.

None of them may cost a run: one that fails is warned of once and gets no more records, and training goes on.
"""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from seqcli.storage import write_file
from seqcli.types import Progress

STARTING, FINISHING = 30.0, 60.0
"""Seconds that Weights & Biases has to answer when training starts, and to send the rest when it ends; what is left then can be
sent by `wandb sync`."""


class Logger(Protocol):
    """One place that records go to. Any method may raise anything: it is somebody else's library, network or disk.

    `place` says how its user sees the run; `takes_back` whether it forgets what came after the step that a run goes on from.
    """

    place: str
    takes_back: bool

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Take some figures of a step."""

    def close(self, failed: bool) -> None:
        """Send what is left; `failed` if training ended with an error."""


class TensorBoard:
    """An event file in `tensorboard/` of the run directory, another one each time a run goes on.

    Written here and not by torch's SummaryWriter, whose thread keeps events back, and dies aloud when the disk is full.
    """

    takes_back = True

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.place = f"tensorboard --logdir {folder}"
        # files are read in the order of their names
        path = folder / "tensorboard" / f"events.out.tfevents.{time.time_ns()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("wb")
        self.events = RecordWriter(self.file)
        self._write(file_version="brain.Event:2")
        # a start at this step: TensorBoard purges what earlier files have from there on
        self._write(step=step + 1, session_log=SessionLog(status=SessionLog.START))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Write them at once, so that a kill loses none."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self._write(step=step, summary=Summary(value=values))

    def close(self, failed: bool) -> None:
        """Close the file."""
        self.file.close()

    def _write(self, **event: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self.events.write(Event(wall_time=time.time(), **event).SerializeToString())
        self.events.flush()


class WeightsAndBiases:
    """A run of Weights & Biases, taken up again by its id."""

    takes_back = False

    def __init__(self, folder: Path, project: str, recipe: dict[str, Any], run_id: str) -> None:
        import wandb

        # silent: seqcli does the talking, and nobody is asked for a key in the middle of the live picture
        wandb.setup(wandb.Settings(silent=True))
        self.run = wandb.init(
            project=project,
            name=folder.name,
            id=run_id,
            resume="allow",
            reinit="create_new",
            config=recipe,
            dir=folder,
            settings=wandb.Settings(silent=True, console="off", init_timeout=STARTING, finish_timeout=FINISHING),
        )
        self.place = self.run.url or f"wandb sync {Path(self.run.dir).parent}"

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Hand them to its own process, which sends them."""
        self.run.log(dict(figures), step=step)

    def close(self, failed: bool) -> None:
        """Wait until all is sent, but not for ever."""
        self.run.finish(exit_code=int(failed))


class Trackio:
    """A run of trackio. It knows runs by name alone, so the id is part of the name."""

    takes_back = False

    def __init__(self, folder: Path, project: str, recipe: dict[str, Any], run_id: str) -> None:
        import trackio

        self.place = f"trackio show --project {project}"
        with _unprinted():
            self.run = trackio.init(
                project=project, name=f"{folder.name}-{run_id}", resume="allow", config=recipe, embed=False
            )

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Hand them to its own thread, which stores them."""
        self.run.log(dict(figures), step=step)

    def close(self, failed: bool) -> None:
        """Wait until all is stored."""
        import trackio

        # not run.finish(), after which it would finish the run once more, aloud, when Python ends
        with _unprinted():
            trackio.finish()


def _unprinted() -> contextlib.redirect_stdout[io.StringIO]:
    """A block in which nothing is printed: stdout is for data."""
    return contextlib.redirect_stdout(io.StringIO())


class Sent:
    """`sent.jsonl`: the `id` that others know a run by, and which records they have got, one a line.

    They do not take a record back, so what a run does again after it was cut off must not be sent again.
    """

    def __init__(self, path: Path) -> None:
        known = _read_objects(path)
        self.id: str = next((one["id"] for one in known if "id" in one), secrets.token_hex(4))
        self.marks = {(one["to"], one["step"], one["event"]) for one in known if "to" in one}
        lines = [{"id": self.id}, *(one for one in known if "to" in one)]
        write_file(path, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
        self.file = path.open("a", encoding="utf-8")

    def has(self, name: str, record: Progress) -> bool:
        """Whether the logger of this name has got this record."""
        return (name, record.step, record.event) in self.marks

    def add(self, name: str, record: Progress) -> None:
        """Remember that it has."""
        self.file.write(json.dumps({"to": name, "step": record.step, "event": record.event}) + "\n")
        self.file.flush()


class Loggers:
    """The loggers of a run, by name. `makers` open them, given the run's id; `note` and `warn` say what there is to say."""

    def __init__(
        self,
        makers: Mapping[str, Callable[[str], Logger]],
        path: Path,
        note: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self.warn = warn
        self.open: dict[str, Logger] = {}
        self.failed: list[Logger] = []
        self.sent = Sent(path) if makers else None
        for name, make in makers.items():
            assert self.sent is not None
            with self._warning(f"{name} does not log this run"):
                self.open[name] = make(self.sent.id)
                note(f"{name}: {self.open[name].place}")

    def log(self, record: Progress) -> None:
        """Send a record to all that have not got it yet."""
        for name, logger in list(self.open.items()):
            with self._warning(f"{name} gets no more records after step {record.step}", name):
                self._send(name, logger, record)

    def __enter__(self) -> Loggers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, logger in self.open.items():
            with self._warning(f"{name} may lack the last records"):
                logger.close(failed=error is not None)
        for logger in self.failed:
            # what it lacks has been told
            with contextlib.suppress(Exception):
                logger.close(failed=error is not None)
        if self.sent is not None:
            self.sent.file.close()

    def _send(self, name: str, logger: Logger, record: Progress) -> None:
        assert self.sent is not None
        if logger.takes_back:
            logger.log(record.step, figures(record))
        elif not self.sent.has(name, record):
            logger.log(record.step, figures(record))
            self.sent.add(name, record)

    @contextlib.contextmanager
    def _warning(self, consequence: str, name: str = "") -> Iterator[None]:
        """A block whose errors become a warning, and the end of the logger of this name."""
        try:
            yield
        except Exception as error:
            if name in self.open:
                self.failed.append(self.open.pop(name))
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            self.warn(f"{consequence} ({reason}); metrics.jsonl has all records")


def figures(record: Progress) -> dict[str, float]:
    """The numbers of a record, by the names that they are sent under: train/loss, validation/bleu. Only scores lose the name of
    their field."""
    numbers: dict[str, float] = {}
    for name, value in asdict(record).items():
        if isinstance(value, dict):
            group = "" if name == "scores" else f"{name}/"
            numbers.update({f"{record.event}/{group}{key}": number for key, number in value.items()})
        elif isinstance(value, (int, float)) and name != "step":
            numbers[f"{record.event}/{name}"] = value
    return numbers


def _read_objects(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that are whole; none where there is no file."""
    objects = []
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        with contextlib.suppress(ValueError):
            objects.append(json.loads(line))
    return [one for one in objects if isinstance(one, dict)]
