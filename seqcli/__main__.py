"""`python -m seqcli`, and the `seqcli` command."""

from __future__ import annotations

import os
import sys

from seqcli.cli.app import app
from seqcli.errors import SeqcliError

OUT_OF_MEMORY, CANNOT_WRITE, INTERRUPTED, CLOSED_PIPE = 4, 74, 130, 141


def main() -> None:
    """Run the command line; every error that a user can meet becomes one message on stderr and an exit code."""
    try:
        app(prog_name="seqcli")
    except SeqcliError as error:
        sys.exit(_tell(str(error), error.exit_code))
    except BrokenPipeError:
        # whoever read us has gone: nothing to tell, and nothing left to flush to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CLOSED_PIPE)
    except MemoryError:
        sys.exit(_tell("out of memory; make training.batch_tokens or search.batch_sentences smaller", OUT_OF_MEMORY))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(_tell(f"{where}{error.strerror or error}", CANNOT_WRITE))


def _tell(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
