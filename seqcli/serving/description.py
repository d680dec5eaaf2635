"""What can be asked of a server, as OpenAPI 3.1 has it, made of the fields that requests are checked by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqcli import __version__
from seqcli.serving.engine import Engine
from seqcli.serving.fields import Field, attention_fields, overlay_fields, translate_fields
from seqcli.serving.limits import Limits
from seqcli.serving.reading import AS_FORM, AS_JSON, source_fields

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
REFUSED = "refused: `error` says why"
ERROR: Schema = {"type": "object", "properties": {"error": TEXT}, "required": ["error"]}
SCORE: Schema = {"type": ["number", "null"], "description": "null where a damaged model has none."}
HYPOTHESIS: Schema = {
    "type": "object",
    "properties": {"text": TEXT, "score": SCORE, "log_prob": SCORE},
    "required": ["text"],
}
ANSWER: Schema = {
    "type": "object",
    "properties": {
        "translation": TEXT,
        "score": SCORE,
        "log_prob": SCORE,
        "translations": {"type": "array", "items": HYPOTHESIS},
        "cut": {"type": "boolean", "description": "The source was longer than the model reads."},
    },
    "required": ["translation"],
}
RESULTS: Schema = {
    "type": "object",
    "properties": {"results": {"type": "array", "items": ANSWER}},
    "required": ["results"],
}
TOKENS: Schema = {"type": "array", "items": TEXT}
KIND: Schema = {
    "type": "object",
    "properties": {
        "name": {"enum": ["encoder", "decoder", "cross"]},
        "title": TEXT,
        "rows": TOKENS,
        "columns": TOKENS,
        "grid": {
            "type": ["array", "null"],
            "items": {"type": "integer"},
            "description": "Rows and columns of an image.",
        },
        "weights": {"type": "array", "description": "By layer, head, row and column."},
        "seen": {"type": ["array", "null"], "description": "By row and column: what could be looked at; null: all."},
    },
}
ATTENTION: Schema = {
    "type": "object",
    "properties": {
        "source": TOKENS,
        "target": TOKENS,
        "kinds": {"type": "array", "items": KIND},
        "picture": {"type": ["string", "null"]},
    },
    "required": ["source", "target", "kinds"],
}


def describe(engine: Engine, limits: Limits) -> Schema:
    """The whole description."""
    answers = {"200": _content(AS_JSON, {"oneOf": [ANSWER, RESULTS]}, "the hypotheses")}
    paths: Schema = {
        "/translate": _post(engine, limits, "Translate sources.", translate_fields(limits), answers, several=True),
        "/attention": _post(
            engine,
            limits,
            "What the model looks at.",
            attention_fields(limits),
            {"200": _content(AS_JSON, ATTENTION, "the weights")},
        ),
        "/health": _get("Whether requests are answered.", AS_JSON),
        "/metrics": _get("Counts for Prometheus.", "text/plain"),
    }
    if engine.reads_images:
        drawn = {"description": "the picture", "content": {"image/png": {}, "image/gif": {}}}
        paths["/overlay"] = _post(engine, limits, "Attention over the image.", overlay_fields(limits), {"200": drawn})
    return {
        "openapi": "3.1.0",
        "info": {"title": f"seqcli serve: {engine.name}", "version": __version__, "description": engine.about},
        "paths": paths,
    }


def _get(summary: str, media: str) -> Schema:
    return {"get": {"summary": summary, "responses": {"200": {"description": "ok", "content": {media: {}}}}}}


def _content(media: str, schema: Schema, description: str) -> Schema:
    return {"description": description, "content": {media: {"schema": schema}}}


def _post(
    engine: Engine,
    limits: Limits,
    summary: str,
    options: Sequence[Field],
    answers: Schema,
    *,
    several: bool = False,
) -> Schema:
    """A request that has a body, in each of the forms that it may have."""
    fields = source_fields(engine, limits.characters if several else limits.shown_characters)
    one = {name: field.schema() for name, field in fields.items()}
    if "features" in one:
        one["features"] = {"oneOf": [one["features"], {"type": "array", "items": one["features"]}]}
    needed = [name for name in one if name != "features"]
    chosen = {field.name: field.schema() for field in options}
    source: Schema = {"type": "object", "properties": one, "required": needed, "additionalProperties": False}
    single = {**source, "properties": {**one, **chosen}}
    schema = single
    if several:
        rows = {"type": "array", "minItems": 1, "maxItems": limits.sources}
        item = source if engine.reads_images or engine.tagging.tasks else {"oneOf": [source, one["source"]]}
        many = {"type": "object", "properties": {"sources": {**rows, "items": item}, **chosen}, "required": ["sources"]}
        schema = {"oneOf": [single, {**many, "additionalProperties": False}]}
    content = {AS_JSON: {"schema": schema}, AS_FORM: {"schema": single}}
    post: Schema = {"summary": summary}
    if engine.reads_images:
        content["image/*"] = {}
        post["parameters"] = [
            {"name": name, "in": "query", "schema": about, "description": "where the body is an image"}
            for name, about in {**one, **chosen}.items()
            if name != "image"
        ]
    refused = {"4XX": _content(AS_JSON, ERROR, REFUSED), "5XX": _content(AS_JSON, ERROR, REFUSED)}
    return {
        "post": {**post, "requestBody": {"required": True, "content": content}, "responses": {**answers, **refused}}
    }
