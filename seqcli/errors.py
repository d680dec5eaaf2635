"""The errors a user can cause or meet, each with the exit code that the shell sees.

Everything that is the user's to mend is raised as a `SeqcliError` whose text is one clear message: where, what, and how to
mend it. The command line prints the message and exits with `exit_code`; it never shows a traceback for one of these.
"""

import unicodedata


def printable(text: str) -> str:
    """A text from the data as it may stand in a message: without what would break the line or steer a terminal."""
    return "".join("\ufffd" if unicodedata.category(each) == "Cc" else each for each in text)


class SeqcliError(Exception):
    """A run that failed for a reason that can be told in a sentence (exit code 1)."""

    exit_code = 1


class RecipeError(SeqcliError):
    """A recipe, an override or a command line that cannot be obeyed (exit code 2)."""

    exit_code = 2


class DataError(SeqcliError):
    """Data that cannot be read as it was described (exit code 3); names the file and, where there is one, the line."""

    exit_code = 3


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory has run out, the machine's or a GPU's; torch, which need not be imported for it, has no one class for both."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )


class StorageError(SeqcliError):
    """Output that cannot be written: a full disk, a folder without permission (exit code 74)."""

    exit_code = 74
