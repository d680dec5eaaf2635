"""The recipe's `data` section: where the examples come from."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field

from seqcli.recipe.section import Column, Count, Paths, Section

PictureSize = Annotated[int, Field(ge=32, le=1024)]


Where = dict[str, Union[str, int, bool]]


class Columns(Section):
    """Where a row keeps what: by column name (a dot goes into a nested column, `translation.en`), or by number, counted from
    0, in a CSV or TSV file without a header line."""

    source: Column | None = "source"
    """The column of the text to read; null where the source is an image alone."""
    target: Column | Annotated[list[Column], Field(min_length=1)] = "target"
    """The column to write. Several columns, or a column of lists, hold what several people wrote: each is learnt, and all are
    references."""
    features: Column | None = None
    """A column of tags that go before the source as symbols of their own (inflection)."""
    image: Column | None = None
    """A column of images: files' bytes, paths (seen from the folder of the data), or features computed beforehand."""
    references: Column | None = None
    """A column of lists of all answers that count as right, as several annotators gave them; only `target` is learnt."""
    group: Column | None = None
    """A column that says which kind of example it is (a question's type), so that `seqcli eval --by-group` scores them apart."""
    boxes: Column | None = None
    """A column of lists of places in the image, [left, right] or [left, top, right, bottom] in pixels or null, one for each symbol of the
    target: where the thing is that it names."""


class Splits(Section):
    """What the three splits are called in the data set."""

    train: str = "train"
    """The split to learn from."""
    validation: str | None = "validation"
    """The split to watch while learning; null if there is none."""
    test: str | None = "test"
    """The split to score once, at the end; null if there is none."""


class DataSection(Section):
    """What every data source has."""

    limit: Count | None = None
    """Learn from the first so many training examples only."""
    features_separator: str = Field(";", min_length=1)
    """What stands between two tags in the features column."""


class StoredData(DataSection):
    """What every data source has that is read and not made."""

    hold_out: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Set this share of the training examples aside, as validation and test where these are not named: half for each, or all for the one that is
    missing, of at most 2000 different sources each. Which ones follows from their sources alone, so that none is in two splits; null sets nothing
    aside."""


class HubData(StoredData):
    """A data set of the Hugging Face hub, or a local folder laid out like one (`train.parquet`, or images with a `metadata.jsonl`)."""

    kind: Literal["hub"]
    name: str
    """The data set's name on the hub, as in `bentrevett/multi30k`, or a local folder."""
    config: str | None = None
    """Which configuration of the data set."""
    revision: str | None = None
    """Which version of it: a tag, branch or commit."""
    splits: Splits = Splits()
    """What its splits are called."""
    columns: Columns = Columns()
    """Which of its columns to read."""
    where: Where = {}
    """Read only rows that have these values in these columns: {label: "true"}."""
    split_column: str | None = None
    """A column that says which split a row belongs to, where the data set has only one: splits are then its values."""
    streaming: bool = False
    """Read it as a stream, without storing the data set itself on this machine."""


class DiskData(StoredData):
    """A data set that `datasets` has saved with `save_to_disk`."""

    kind: Literal["disk"]
    path: str
    """The folder."""
    splits: Splits = Splits()
    """What its splits are called."""
    columns: Columns = Columns()
    """Which of its columns to read."""
    where: Where = {}
    """Read only rows that have these values in these columns."""


class FilesData(StoredData):
    """Files with both sides in one row: Parquet, JSONL, CSV or TSV, each but Parquet also as `.gz`."""

    kind: Literal["files"]
    format: Literal["auto", "parquet", "jsonl", "csv", "tsv"] = "auto"
    """The format; auto goes by the ending of the file's name, whatever its case, and takes a file with another ending for TSV where its first
    line has a tab."""
    train: Paths
    """The file, or files, to learn from; `*` matches several."""
    validation: Paths | None = None
    """The file, or files, to watch while learning."""
    test: Paths | None = None
    """The file, or files, to score at the end."""
    columns: Columns = Columns()
    """Which columns to read."""
    where: Where = {}
    """Read only rows that have these values in these columns: {label: "true"}."""


class Parallel(Section):
    """Two text files, line by line each other's translation."""

    source: Paths
    """The source side's file, or files."""
    target: Paths
    """The target side's file, or files, in the same order."""


class TextData(StoredData):
    """Plain parallel text: one sentence a line, a file a side; also `.gz`."""

    kind: Literal["text"]
    train: Parallel
    """The files to learn from."""
    validation: Parallel | None = None
    """The files to watch while learning."""
    test: Parallel | None = None
    """The files to score at the end."""


class LinesData(StoredData):
    """Lines that hold both sides, taken apart by a regular expression."""

    kind: Literal["lines"]
    pattern: str
    """A regular expression with groups named source and target (and features, if there are any): `IN: (?P<source>.*) OUT: (?P<target>.*)`."""
    train: Paths
    """The file, or files, to learn from."""
    validation: Paths | None = None
    """The file, or files, to watch while learning."""
    test: Paths | None = None
    """The file, or files, to score at the end."""


class DatesData(DataSection):
    """Builtin: dates as people write them in 24 locales → ISO 8601."""

    kind: Literal["dates"]
    locales: list[str] | None = None
    """Only these locales, as in [de, ja]; null means all."""


class AlgorithmicData(DataSection):
    """Builtin, made at run time from `seed`: random strings of letters and what is to be done with them."""

    kind: Literal["copy", "reverse", "sort"]
    seed: int = 1
    """The seed that the strings are drawn from."""
    alphabet: Annotated[int, Field(ge=2, le=26)] = 10
    """How many different letters there are."""
    shortest: Count = 1
    """Letters of the shortest string."""
    longest: Count = 10
    """Letters of the longest string."""
    examples: Count = 10000
    """How many training examples; validation and test have a twentieth of that each, at least 100."""


class ShapeCaptionsData(DataSection):
    """Builtin, made at run time from `seed`: pictures of one to three coloured shapes → a sentence that says which, and where."""

    kind: Literal["shapes_captions"]
    seed: int = 1
    """The seed that the pictures are drawn from."""
    size: PictureSize = 64
    """Pixels from left to right, and from top to bottom."""
    examples: Count = 10000
    """How many training examples; validation and test have a twentieth of that each, at least 100."""


class ShapeQuestionsData(DataSection):
    """Builtin, made at run time from `seed`: 20 questions about each picture of six coloured shapes → answers of one word."""

    kind: Literal["shapes_questions"]
    seed: int = 1
    """The seed that the pictures are drawn from."""
    size: PictureSize = 75
    """Pixels from left to right, and from top to bottom."""
    scenes: Count = 2000
    """How many pictures to learn from; validation and test have a twentieth of that each, at least 100."""


Task = Annotated[
    Union[HubData, DiskData, FilesData, TextData, LinesData, DatesData, AlgorithmicData],
    Field(discriminator="kind"),
]
TaskName = Annotated[str, Field(pattern=r"^[\w-]+$")]


class TasksData(Section):
    """Several data sets that one model learns, each a task: its sources begin with a symbol of its own, `<fre>` for the task fre, which says what is
    wanted (Johnson et al. 2017, "Google's multilingual neural machine translation system", section 3)."""

    kind: Literal["tasks"]
    tasks: Annotated[dict[TaskName, Task], Field(min_length=1)]
    """The data set of each task, by its name: letters, digits, - and _."""
    limit: Count | None = None
    """Learn from the first so many training examples of each task only."""
    temperature: Annotated[float, Field(ge=1.0)] = 1.0
    """How often small tasks are seen: 1 as they are, each example once an epoch; above, a task with n examples has a share of an epoch that goes
    with n to the power 1 / temperature, since its examples are repeated (Arivazhagan et al. 2019)."""


Data = Annotated[
    Union[
        HubData,
        DiskData,
        FilesData,
        TextData,
        LinesData,
        DatesData,
        AlgorithmicData,
        ShapeCaptionsData,
        ShapeQuestionsData,
        TasksData,
    ],
    Field(discriminator="kind"),
]
DataSet = Union[Task, ShapeCaptionsData, ShapeQuestionsData]
"""What is one data set, and not several."""


def data_sets(section: Data) -> dict[tuple[str, ...], DataSet]:
    """The data sets of a recipe, each by the path of its section: one, or one a task."""
    if isinstance(section, TasksData):
        return {("data", "tasks", name): task for name, task in section.tasks.items()}
    return {("data",): section}


def has_split(section: Data, split: str) -> bool:
    """Whether there is such a split, of one task at least: one that is named, or that is held out."""
    return any(named(one, split) or split in held_out(one) for one in data_sets(section).values())


def named(section: DataSet, split: str) -> bool:
    """Whether the data has this split by itself: without what is held out."""
    if isinstance(section, (HubData, DiskData)):
        return getattr(section.splits, split) is not None
    return not isinstance(section, StoredData) or getattr(section, split) is not None


def held_out(section: DataSet) -> list[str]:
    """The splits that are set aside from the training examples."""
    if not isinstance(section, StoredData) or section.hold_out is None:
        return []
    return [split for split in ("validation", "test") if not named(section, split)]
