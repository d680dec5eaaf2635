"""Runs chapters of the lecture at their full sizes, and puts their pictures into docs/images/lecture/.

    make lecture               all of them, about 20 minutes on two cores
    make lecture LESSONS="3 gates"

The runs lie in runs/lecture-made/, so a chapter that was stopped goes on; remove that folder to make all anew.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

from seqcli.lesson import Lesson, all_lessons, find_lesson

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGES = REPOSITORY / "docs" / "images" / "lecture"
RUNS = REPOSITORY / "runs" / "lecture-made"
LARGEST = 200_000
"""Bytes of a picture, so that a clone of the repository stays small."""


def make(lesson: Lesson) -> None:
    """Run a chapter in a folder of its own, and keep its pictures."""
    folder = RUNS / f"lesson-{lesson.number:02}"
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "seqcli", "lesson", lesson.name, "--output", str(folder)], check=True)
    print(f"lesson {lesson.number} took {time.monotonic() - started:.0f} s")
    for name in lesson.pictures:
        print(f"wrote docs/images/lecture/{name} ({keep(folder / name, IMAGES / name):,} bytes)")


def keep(picture: Path, copy: Path) -> int:
    """Copy a picture with a palette of 256 colours, a third of the bytes and no difference to the eye; returns the bytes."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(picture) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(copy, optimize=True)
    size = copy.stat().st_size
    assert size <= LARGEST, f"{copy} has {size:,} bytes, more than {LARGEST:,}; show less in it"
    return size


if __name__ == "__main__":
    for wanted in [find_lesson(word) for word in sys.argv[1:]] or all_lessons():
        make(wanted)
