"""Make seqcli/data/dates.tsv.gz: dates as people write them in 24 locales, after CLDR, and in ISO 8601; and beside it months.tsv.

    python scripts/make_dates.py

Needs Babel, which carries CLDR; another release of it spells some dates otherwise, and published scores belong to one file:
make it anew only on purpose. Columns: locale, split, source, target. months.tsv has what the months are called in them, in lower case:
locale, number of the month, and its names.
"""

from __future__ import annotations

import gzip
from datetime import date, timedelta
from pathlib import Path
from random import Random

from babel import Locale
from babel.dates import format_date, format_skeleton

BABEL = "2.18.0"
SEED = 20110305
PAIRS = {"train": 660, "validation": 21, "test": 42}
FIRST, LAST = date(1900, 1, 1), date(2050, 12, 31)
FILE = Path(__file__).resolve().parent.parent / "seqcli" / "data" / "dates.tsv.gz"
MONTHS = FILE.with_name("months.tsv")

# What the recipe calls a locale, and the CLDR locales that people who write it follow.
LOCALES = {
    "ar": ("ar",),
    "cs": ("cs",),
    "de": ("de", "de_AT"),
    "el": ("el",),
    "en": ("en_US", "en_GB"),
    "es": ("es", "es_MX"),
    "fi": ("fi",),
    "fr": ("fr",),
    "he": ("he",),
    "hi": ("hi",),
    "hu": ("hu",),
    "it": ("it",),
    "ja": ("ja",),
    "ko": ("ko",),
    "nl": ("nl",),
    "pl": ("pl",),
    "pt": ("pt_BR", "pt_PT"),
    "ru": ("ru",),
    "sv": ("sv",),
    "th": ("th",),
    "tr": ("tr",),
    "uk": ("uk",),
    "vi": ("vi",),
    "zh": ("zh", "zh_Hant"),
}
NATIVE_DIGITS = {"ar": "٠١٢٣٤٥٦٧٨٩", "hi": "०१२३४५६७८९"}
SKELETONS = ("yMMMd", "yMMMEd", "yMMMMd", "yMMMMEEEEd")
# Typed text has plain spaces, and no marks that only steer the writing direction.
TYPED = {0xA0: " ", 0x202F: " ", 0x200E: None, 0x200F: None}


def date_splits() -> dict[str, list[date]]:
    """Every date of the range in one split, shared out in proportion to the pairs wanted, in random order."""
    dates = [FIRST + timedelta(days=day) for day in range((LAST - FIRST).days + 1)]
    Random(SEED).shuffle(dates)
    held_out = len(dates) // 10
    return {
        "validation": dates[:held_out],
        "test": dates[held_out : 2 * held_out],
        "train": dates[2 * held_out :],
    }


def ways(name: str) -> list[str]:
    """The formats and skeletons that spell the month out, or mark it: a numeric 5.3.2011 could be read in two ways."""
    locale = Locale.parse(name)
    patterns = {way: locale.date_formats[way].pattern for way in ("full", "long")}
    patterns |= {way: locale.datetime_skeletons[way].pattern for way in SKELETONS if way in locale.datetime_skeletons}
    return [way for way, pattern in patterns.items() if any(month in pattern for month in ("MMM", "LLL", "月", "월"))]


def written(day: date, locale: str, random: Random) -> str:
    """The date as somebody might type it."""
    name = random.choice(LOCALES[locale])
    way = random.choice(ways(name))
    if way in SKELETONS:
        text = format_skeleton(way, day, locale=name, fuzzy=False)
    else:
        text = format_date(day, way, locale=name)
    text = text.translate(TYPED)
    chance = random.random()
    if chance < 0.4:
        text = text.lower()
    elif chance < 0.5:
        text = text[0].upper() + text[1:]
    if locale in NATIVE_DIGITS and random.random() < 0.5:
        text = text.translate({ord("0") + digit: sign for digit, sign in enumerate(NATIVE_DIGITS[locale])})
    return text


def pairs(locale: str, splits: dict[str, list[date]]) -> list[tuple[str, str, str, str]]:
    """The rows of one locale."""
    rows = []
    for split, count in PAIRS.items():
        random = Random(f"{SEED} {locale} {split}")
        for day in random.sample(splits[split], count):
            rows.append((locale, split, written(day, locale, random), day.isoformat()))
    # In the order of the text the file is a tenth smaller; the reader shuffles.
    return sorted(rows)


def month_names(locale: str, month: int) -> list[str]:
    """What a month is called in the dates of a locale, written out and abbreviated."""
    months = [Locale.parse(name).months["format"] for name in LOCALES[locale]]
    return sorted({each[width][month].translate(TYPED).lower() for each in months for width in ("wide", "abbreviated")})


def main() -> None:
    splits = date_splits()
    rows = [row for locale in LOCALES for row in pairs(locale, splits)]
    meanings: dict[str, str] = {}
    for _, _, source, target in rows:
        if meanings.setdefault(source, target) != target:
            raise SystemExit(f"ambiguous: {source!r} is {meanings[source]} and {target}")
    text = "".join("\t".join(row) + "\n" for row in rows)
    # No time and no name inside: the same rows give the same bytes.
    FILE.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    names = [(locale, str(month), *month_names(locale, month)) for locale in LOCALES for month in range(1, 13)]
    MONTHS.write_text("".join("\t".join(row) + "\n" for row in names), encoding="utf-8", newline="\n")
    print(f"{FILE.name}: {len(rows)} pairs, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
