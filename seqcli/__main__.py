"""`python -m seqcli`, and the `seqcli` command."""

from __future__ import annotations

import io
import os
import sys

from seqcli.cli.app import app
from seqcli.errors import SeqcliError, is_out_of_memory

NO_MEMORY_MESSAGE = "out of memory; make training.batch_tokens, search.batch_sentences or the model smaller"
OUT_OF_MEMORY, CANNOT_WRITE, INTERRUPTED, CLOSED_PIPE = 4, 74, 130, 141


def main() -> None:
    """Run the command line; every error that a user can meet becomes one message on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for what the locale has no letters for
    try:
        app(prog_name="seqcli")
    except SeqcliError as error:
        sys.exit(_tell(str(error), error.exit_code))
    except SystemExit as ending:
        # whoever read us has gone: typer and rich make that a plain 1
        if isinstance(ending.__context__, BrokenPipeError):
            _drop_unwritten_output()
            sys.exit(CLOSED_PIPE)
        raise
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        sys.exit(_tell(NO_MEMORY_MESSAGE, OUT_OF_MEMORY))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        _drop_unwritten_output()
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(_tell(f"{where}{error.strerror or error}", CANNOT_WRITE))


def _drop_unwritten_output() -> None:
    """Let Python's last flush of stdout succeed, which would else complain once more."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(message: str, code: int) -> int:
    if sys.stderr is not None:  # else it would go to stdout, among the data
        print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
