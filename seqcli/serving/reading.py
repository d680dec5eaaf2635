"""The body of a request as examples and options: JSON, a form with files, or an image as it is.

Nothing that a request says is ever taken for the name of a file: an image is what the request holds.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import math
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from seqcli.serving.engine import Engine
from seqcli.serving.fields import Field, refuse_unknown
from seqcli.serving.limits import Limits
from seqcli.serving.refusal import BAD, INVALID, TOO_LARGE, WRONG_KIND, Refusal
from seqcli.symbols import Example

LARGE = 65536
"""Bytes of a body from which on it is read beside the other requests."""
LONGEST_NUMBER = 30
"""Digits of a whole number."""
TAGS = 64
"""Feature tags of one source, at most."""
DATA_ADDRESS = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,")
AS_JSON, AS_FORM = "application/json", "multipart/form-data"
UTF_8 = ("utf-8", "utf8", "us-ascii")


@dataclass(frozen=True)
class Wanted:
    """What a request asks: some sources, or a `single` one, and its options; those that it does not name are not there."""

    examples: list[Example]
    single: bool
    options: dict[str, Any]


class RequestReader:
    """Reads requests for an engine: one source, or, where `several` is set, as many as the limits allow, and some option fields."""

    def __init__(
        self, engine: Engine, limits: Limits, options: Sequence[Field], *, several: bool, characters: int
    ) -> None:
        self.engine, self.limits, self.several = engine, limits, several
        self.options = {field.name: field for field in options}
        self.sources = source_fields(engine, characters)
        self.known = [*self.sources, *(["sources"] if several else []), *self.options]

    async def read(self, request: Request, body: bytes) -> Wanted:
        """What the request asks; Refusal where that cannot be told."""
        media, parameters = content_type(request.headers.get("content-type", ""))
        if media in (AS_JSON, AS_FORM) and parameters.get("charset", "utf-8").lower() not in UTF_8:
            raise Refusal(WRONG_KIND, f"{'JSON is' if media == AS_JSON else 'forms are'} read as UTF-8 only")
        if media == AS_JSON:
            if request.url.query:
                raise Refusal(INVALID, "options stand in the JSON, not behind a ? in the address")
            # a large one takes so long that others would wait for it
            return await asyncio.to_thread(self.from_json, body) if len(body) > LARGE else self.from_json(body)
        if media == AS_FORM:
            if request.url.query:
                raise Refusal(INVALID, "options are fields of the form, not behind a ? in the address")
            return self.from_form(*await _form(request, body, self.limits))
        if self.engine.reads_images and (media.startswith("image/") or media == "application/octet-stream"):
            return self.from_image(request.query_params.multi_items(), body)
        kinds = f"{AS_JSON}, {AS_FORM}" + (" or image/png and the like" if self.engine.reads_images else "")
        raise Refusal(WRONG_KIND, f"the Content-Type is {media[:60] or 'missing'}; there are {kinds}")

    def from_json(self, body: bytes) -> Wanted:
        """An object with the fields of one source, or with `sources`, a list of such objects, or of texts."""
        given = parse_json(body)
        refuse_unknown(given, self.known)
        options = {name: field.checked(given[name], name) for name, field in self.options.items() if name in given}
        if "sources" not in given:
            return Wanted(
                [self._example({name: given[name] for name in self.sources if name in given}, "", 0)], True, options
            )
        if also := [name for name in self.sources if name in given]:
            raise Refusal(INVALID, f"sources and {also[0]} cannot both be given")
        rows = given["sources"]
        if not isinstance(rows, list) or not rows:
            raise Refusal(INVALID, "sources must be a list with one source or more")
        self._refuse_many(len(rows))
        return Wanted([self._row(row, place) for place, row in enumerate(rows)], False, options)

    def _row(self, row: Any, place: int) -> Example:
        where = f"sources[{place}]"
        if isinstance(row, str) and not self.engine.reads_images and not self.engine.tagging.tasks:
            row = {"source": row}
        if not isinstance(row, dict):
            raise Refusal(INVALID, f"{where} must be an object with {', '.join(self.sources)}")
        refuse_unknown(row, list(self.sources), f"{where}: ")
        return self._example(row, f"{where}.", place)

    def _example(self, given: Mapping[str, Any], where: str, place: int) -> Example:
        """One source: a text of its own kind, an image in base64 or as bytes, and tags, where the engine reads these."""
        text_name = "question" if self.engine.reads_images else "source"
        for name in self.sources:
            if name not in given and name != "features":
                there = f"; there are {', '.join(self.engine.tagging.tasks)}" if name == "task" else ""
                raise Refusal(INVALID, f"{where}{name} is missing{there}")
        text = self.sources[text_name].checked(given[text_name], where + text_name) if text_name in self.sources else ""
        image = _image(given["image"], f"{where}image") if "image" in self.sources else None
        task = self.sources["task"].checked(given["task"], f"{where}task") if "task" in self.sources else None
        listed = self._listed(given.get("features", ""), f"{where}features") if "features" in self.sources else ""
        origin = where.rstrip(".") or "the source"
        if listed and task is not None and self.engine.tagging.tasks[task] is None:
            raise Refusal(INVALID, f"{where}features are given, but sources of the task {task} have none")
        return Example(text, None, place, origin, self.engine.tagging.tags(listed, task, origin), image=image)

    def _listed(self, given: Any, where: str) -> str | list[str]:
        """Feature tags, as a list or as a text, as they were sent."""
        field = self.sources["features"]
        listed = given if isinstance(given, list) else [field.checked(given, where)]
        if len(listed) > TAGS:
            raise Refusal(TOO_LARGE, f"{where} has {len(listed):,} tags; {TAGS} may be sent")
        tags = [field.checked(tag, where) for tag in listed]
        return tags if isinstance(given, list) else tags[0]

    def from_form(self, texts: Mapping[str, Sequence[str]], files: Mapping[str, Sequence[bytes]]) -> Wanted:
        """The fields of a form: one source, or several images, with one text for each or one for all."""
        refuse_unknown({**texts, **files}, [name for name in self.known if name != "sources"])
        for name in texts.keys() & {"image"}:
            raise Refusal(INVALID, f"{name} must be a file of the form, as in curl -F {name}=@picture.png")
        for name in files.keys() - {"image"}:
            raise Refusal(INVALID, f"{name} must be a text, not a file")
        for name in texts.keys() & self.options.keys():
            if len(texts[name]) > 1:
                raise Refusal(INVALID, f"{name} is there {len(texts[name])} times")
        options = {name: field.read(texts[name][0], name) for name, field in self.options.items() if name in texts}
        given: dict[str, Sequence[Any]] = {name: texts[name] for name in texts if name in self.sources}
        given |= files
        count = max(map(len, given.values()), default=1)
        if count > 1 and not self.several:
            raise Refusal(INVALID, "one source is looked at, but several were sent")
        self._refuse_many(count)
        for name, values in given.items():
            if len(values) not in (1, count):
                raise Refusal(INVALID, f"{name} is there {len(values)} times for {count} sources")
        rows = [{name: values[place % len(values)] for name, values in given.items()} for place in range(count)]
        where = [f"sources[{place}]." if count > 1 else "" for place in range(count)]
        return Wanted([self._example(row, where[place], place) for place, row in enumerate(rows)], count == 1, options)

    def from_image(self, query: Sequence[tuple[str, str]], body: bytes) -> Wanted:
        """A body that is an image, the other fields being in the address."""
        given = dict(query)
        if len(given) < len(query):
            raise Refusal(INVALID, "a field stands twice in the address")
        if any("\ufffd" in text for _, text in query):
            raise Refusal(BAD, "the address is not UTF-8")
        refuse_unknown(given, [name for name in self.known if name not in ("image", "sources")])
        options = {name: field.read(given[name], name) for name, field in self.options.items() if name in given}
        row = {name: text for name, text in given.items() if name in self.sources}
        return Wanted([self._example({**row, "image": body}, "", 0)], True, options)

    def _refuse_many(self, count: int) -> None:
        if count > self.limits.sources:
            raise Refusal(TOO_LARGE, f"{count:,} sources in one request; {self.limits.sources} may be sent")


def source_fields(engine: Engine, characters: int) -> dict[str, Field]:
    """The fields of one source as the engine reads it; `image` is no text, but is told about like one."""
    found = []
    if engine.reads_images:
        found.append(
            Field("image", "text", "An image (PNG, JPEG, WebP, GIF, …) in base64, never a path or an address.")
        )
    if engine.reads_texts:
        name, about = (
            ("question", "The question to the image.") if engine.reads_images else ("source", "The text to translate.")
        )
        found.append(Field(name, "text", about, most=characters))
    if engine.tagging.tasks:
        found.append(Field("task", "choice", "Which task the source is of.", choices=tuple(engine.tagging.tasks)))
    if engine.tagging.has_features:
        found.append(
            Field("features", "text", "The source's feature tags: a list, or a text as in the data.", most=characters)
        )
    return {field.name: field for field in found}


def content_type(header: str) -> tuple[str, dict[str, str]]:
    """The media type, in lower case, and its parameters."""
    media, *rest = header.split(";")
    pairs = [part.partition("=") for part in rest]
    return media.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def parse_json(body: bytes) -> dict[str, Any]:
    """An object of JSON (RFC 8259) in UTF-8, each name once and every number finite; Refusal for anything else."""
    try:
        value = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_constant=_no_number,
            parse_int=_integer,
            parse_float=_finite,
        )
    except UnicodeDecodeError as error:
        raise Refusal(BAD, f"the body is not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise Refusal(BAD, "the body is nested too deeply") from error
    except ValueError as error:
        raise Refusal(BAD, f"the body is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise Refusal(INVALID, "the body must be a JSON object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a name twice")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number that is too large")
    return value


def _image(given: Any, where: str) -> bytes:
    """The bytes of an image; from JSON they come as base64."""
    if isinstance(given, bytes):
        content = given
    elif isinstance(given, str):
        try:
            address = DATA_ADDRESS.match(given)
            content = base64.b64decode(given[address.end() :] if address else given, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refusal(
                INVALID, f"{where} must be the content of an image in base64; paths and addresses are not read"
            ) from error
    else:
        raise Refusal(INVALID, f"{where} must be a text, the content of an image in base64")
    if not content:
        raise Refusal(INVALID, f"{where} is empty")
    return content


async def _form(request: Request, body: bytes, limits: Limits) -> tuple[dict[str, list[str]], dict[str, list[bytes]]]:
    """The texts and the files of a form, by their names; all stays in memory. Refusal for one that is damaged."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        request.headers, stream(), max_files=limits.sources, max_fields=4 * limits.sources, max_part_size=limits.body
    )
    parser.spool_max_size = limits.body + 1
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Refusal(BAD, f"the form is damaged ({error.message.rstrip('.')})") from error
    texts: dict[str, list[str]] = {}
    files: dict[str, list[bytes]] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files.setdefault(name, []).append(await value.read())
            await value.close()
        # the parser reads what is not UTF-8 as Latin-1
        elif value.encode("utf-8") not in body:
            raise Refusal(BAD, f"{name[:60]} is not UTF-8")
        else:
            texts.setdefault(name, []).append(value)
    if not texts and not files:
        raise Refusal(BAD, "the form is empty, or its boundary is not the one that the Content-Type names")
    return texts, files
