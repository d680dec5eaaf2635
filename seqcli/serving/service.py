"""Requests to the model and back: read, wait for a turn, answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from seqcli import __version__
from seqcli.errors import SeqcliError, is_out_of_memory
from seqcli.evaluation.attention import AttentionMaps
from seqcli.evaluation.reader import SearchSettings
from seqcli.serving.answers import attention_answer, to_bytes, translation_answer
from seqcli.serving.batching import Batcher, QueueClosed, QueueFull
from seqcli.serving.bodies import Bodies
from seqcli.serving.engine import Engine, Found, pixels_of
from seqcli.serving.fields import attention_fields, overlay_fields, search_fields, translate_fields
from seqcli.serving.limits import Limits
from seqcli.serving.metrics import CONTENT_TYPE, Metrics
from seqcli.serving.overlay import draw_overlay
from seqcli.serving.reading import RequestReader, Wanted
from seqcli.serving.refusal import INVALID, TOO_LARGE, TOO_MANY, TOO_SLOW, UNAVAILABLE, Refusal
from seqcli.symbols import Example

Item = TypeVar("Item")
DECODING = 2
"""Images that are decoded at a time."""

logger = logging.getLogger("seqcli.serving")


class Service:
    """The endpoints of one engine."""

    def __init__(self, engine: Engine, limits: Limits, metrics: Metrics) -> None:
        self.engine, self.limits, self.metrics = engine, limits, metrics
        self.bodies = Bodies(limits)
        self.settings = engine.settings()
        self.stopping = False
        self._search = search_fields(limits)
        self._decoding = asyncio.Semaphore(DECODING)
        self.model = Batcher(
            most_waiting=limits.waiting,
            most_together=limits.together,
            most_size=limits.together_characters,
            window=limits.window,
            told=self._count_batch,
        )
        self.drawing = Batcher(most_waiting=limits.drawings, most_together=1, most_size=1)
        shown = limits.shown_characters
        self._translations = RequestReader(
            engine, limits, translate_fields(limits), several=True, characters=limits.characters
        )
        self._attentions = RequestReader(engine, limits, attention_fields(limits), several=False, characters=shown)
        self._overlays = RequestReader(engine, limits, overlay_fields(limits), several=False, characters=shown)
        metrics.show("seqcli_queue_sources", "Sources that wait for the model.", lambda: self.model.waiting)
        metrics.show("seqcli_queue_limit", "Sources that may wait; a request beyond gets 429.", lambda: limits.waiting)
        metrics.show("seqcli_body_bytes", "Bytes of requests in memory.", lambda: self.bodies.held)
        metrics.show("seqcli_info", "What is served.", lambda: 1, version=__version__, run=engine.name)

    def _count_batch(self, count: int, seconds: float) -> None:
        self.metrics.batches.add(count)
        self.metrics.batch_seconds.add(seconds)

    async def translate(self, request: Request) -> Response:
        """`POST /translate`."""
        wanted = await self._wanted(request, self._translations)
        nbest = wanted.options.get("nbest", 1)
        settings = self._settings(wanted, nbest)
        found = await self._ask(
            request, self.model, ("translate", settings), wanted.examples, partial(self._translate, settings=settings)
        )
        self.metrics.sources.add(len(found))
        self.metrics.tokens.add(sum(len(one.hypotheses[0].ids) for one in found if one.hypotheses))
        scores = wanted.options.get("scores", False)
        answers = [translation_answer(one, nbest=nbest, scores=scores) for one in found]
        return _json(answers[0] if wanted.single else {"results": answers})

    async def attention(self, request: Request) -> Response:
        """`POST /attention`."""
        wanted = await self._wanted(request, self._attentions)
        maps = await self._maps(request, wanted)
        content = await asyncio.to_thread(
            attention_answer,
            maps,
            words=wanted.options.get("words", False),
            picture=wanted.options.get("picture", False),
            most=self.limits.weights,
        )
        return Response(content, media_type="application/json")

    async def overlay(self, request: Request) -> Response:
        """`POST /overlay`."""
        wanted = await self._wanted(request, self._overlays)
        maps = await self._maps(request, wanted)
        look = {
            "figure": wanted.options.get("figure", "panels"),
            "words": wanted.options.get("words", False),
            "dark": wanted.options.get("dark", False),
        }
        ((content, media),) = await self._ask(
            request, self.drawing, None, [maps], lambda several: [draw_overlay(one, **look) for one in several]
        )
        return Response(content, media_type=media)

    async def health(self, request: Request) -> Response:
        """`GET /health`: 503 once the server is to stop, or if its model's thread has ended."""
        well = self.model.alive and not self.stopping
        about: dict[str, Any] = {
            "status": "ok" if well else "stopping",
            "run": self.engine.name,
            "about": self.engine.about,
            "version": __version__,
            "reads": [
                name
                for name, read in (("texts", self.engine.reads_texts), ("images", self.engine.reads_images))
                if read
            ],
            "waiting": self.model.waiting,
        }
        return _json(about, 200 if well else UNAVAILABLE)

    async def counts(self, request: Request) -> Response:
        """`GET /metrics`."""
        return Response(self.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    def close(self, seconds: float) -> None:
        """Do what is waiting, for so long, and take no more."""
        self.stopping = True
        self.model.close(seconds)
        self.drawing.close(seconds)

    async def _wanted(self, request: Request, reader: RequestReader) -> Wanted:
        """What the request asks, its images decoded."""
        async with self.bodies.read(request) as body:
            wanted = await reader.read(request, body)
            if not self.engine.reads_images:
                return wanted
            async with self._decoding:
                return replace(wanted, examples=await asyncio.to_thread(self._decoded, wanted.examples))

    def _decoded(self, examples: Sequence[Example]) -> list[Example]:
        count = sum(map(pixels_of, examples))
        if count > self.limits.pixels:
            raise Refusal(TOO_LARGE, f"{count:,} pixels in one request; {self.limits.pixels:,} may be sent")
        found, complaints = self.engine.seen(examples)
        if complaints:
            raise Refusal(INVALID, complaints[0])
        return found

    def _settings(self, wanted: Wanted, nbest: int = 1) -> SearchSettings:
        """As the recipe searches, but for what the request says; the beam holds what is to be given."""
        given = {field.name: wanted.options[field.name] for field in self._search if field.name in wanted.options}
        return replace(self.settings, **given).at_least(nbest)

    def _translate(self, examples: Sequence[Example], settings: SearchSettings) -> list[Found]:
        return self.engine.translate(examples, settings)

    async def _maps(self, request: Request, wanted: Wanted) -> AttentionMaps:
        """The attention behind the one source of a request. It is looked at alone: nothing goes side by side with it."""
        settings = self._settings(wanted)
        example = replace(wanted.examples[0], target=wanted.options.get("target"))
        looked: list[AttentionMaps] = await self._ask(
            request, self.model, object(), [example], lambda several: [self.engine.attention(several[0], settings)]
        )
        return looked[0]

    async def _ask(
        self, request: Request, batcher: Batcher, key: Hashable, items: Sequence[Item], work: Any
    ) -> list[Any]:
        """Queue some items and wait for what becomes of them. Refusal where the queue is full, or the time is up."""
        sizes = [len(item.source) if isinstance(item, Example) else 1 for item in items]
        try:
            future = batcher.submit(key, items, sizes, work)
        except QueueFull as error:
            raise Refusal(TOO_MANY, "too many requests wait already", {"Retry-After": str(error.seconds)}) from error
        except QueueClosed as error:
            raise Refusal(UNAVAILABLE, "the server is stopping", {"Retry-After": "10"}) from error
        try:
            return await self._waited(future, request)
        except SeqcliError as error:
            raise Refusal(INVALID, str(error)) from error
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            logger.error("out of memory at a request of %d items", len(items))
            raise Refusal(UNAVAILABLE, "there is not enough memory for this request") from error

    async def _waited(self, future: Future[list[Any]], request: Request) -> list[Any]:
        """What the future brings; it is cancelled when the time is up, or the client has gone."""
        asked = asyncio.wrap_future(future)
        gone = asyncio.ensure_future(request.receive())  # after the body there comes nothing but the end
        try:
            await asyncio.wait((asked, gone), timeout=self.limits.answering, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return asked.result()
            if gone.done():
                raise ClientDisconnect
            raise Refusal(TOO_SLOW, f"there was no answer within {self.limits.answering:g} seconds")
        finally:
            gone.cancel()
            asked.cancel()


def _json(value: Any, status: int = 200) -> Response:
    return Response(to_bytes(value), status, media_type="application/json")
