"""The rules about images: what an encoder looks at, where the data keeps it, and how a grid of cells is cut out of it."""

from __future__ import annotations

from seqcli.recipe.data import (
    Columns,
    DataSet,
    DiskData,
    FilesData,
    HubData,
    ShapeCaptionsData,
    ShapeQuestionsData,
    data_sets,
)
from seqcli.recipe.model import (
    ConvEncoder,
    FeaturesEncoder,
    ImageTextEncoder,
    PatchEncoder,
    attends,
    blocks_of,
    encoders,
    halved,
    image_encoder,
    memory_width,
    text_encoder,
)
from seqcli.recipe.schema import Recipe
from seqcli.recipe.sides import FeatureGrid, Pixels, Source
from seqcli.recipe.tree import Broken


def _reads_what_is_there(recipe: Recipe) -> Broken:
    encoder, source = recipe.model.encoder, recipe.source
    text, image = text_encoder(encoder), image_encoder(encoder)
    if text is None and source.tokenizer is not None:
        yield (
            ("source", "tokenizer"),
            f"an encoder of kind {encoder.kind} reads no text; set source.tokenizer to null, or choose image_text",
        )
    if text is not None and source.tokenizer is None:
        yield ("source", "tokenizer"), f"is missing; an encoder of kind {encoder.kind} reads text"
    if source.tokenizer is None and recipe.target.tokenizer.kind == "shared":
        yield (
            ("target", "tokenizer", "kind"),
            "shared is the source's tokenizer, but there is none; choose another kind",
        )
    if image is None and source.image is not None:
        yield (
            ("source", "image"),
            f"an encoder of kind {encoder.kind} looks at no image; choose conv, patch or features",
        )
    if image is None:
        return
    wanted = "features" if isinstance(image, FeaturesEncoder) else "pixels"
    if source.image is None:
        yield ("source", "image"), f"is missing; an encoder of kind {image.kind} reads images of kind {wanted}"
    elif source.image.kind != wanted:
        yield ("source", "image", "kind"), f"an encoder of kind {image.kind} reads images of kind {wanted}"


def _source_columns(recipe: Recipe) -> Broken:
    parts = data_sets(recipe.data).items()
    # what is wrong with the source is told once, of however many tasks
    yield from dict.fromkeys(told for path, data in parts for told in _source_columns_of(recipe.source, path, data))


def _source_columns_of(source: Source, path: tuple[str, ...], data: DataSet) -> Broken:
    if not isinstance(data, (HubData, DiskData, FilesData)):
        if source.image is not None and not _draws_images(data):
            yield ("source", "image"), f"data of kind {data.kind} has no images; choose hub, disk or files"
        elif isinstance(source.image, FeatureGrid):
            yield ("source", "image", "kind"), f"data of kind {data.kind} draws pictures; choose pixels"
        if source.tokenizer is not None and isinstance(data, ShapeCaptionsData):
            yield ("source", "tokenizer"), "shapes_captions has no text to read; set it to null"
        return
    path = (*path, "columns")
    if source.image is not None and data.columns.image is None:
        yield (*path, "image"), "is missing; it names the column that source.image is read from"
    if source.image is None and data.columns.image is not None:
        yield (*path, "image"), "is not looked at; give source.image, or leave it out"
    if source.tokenizer is None and data.columns.source is not None and source.image is not None:
        yield (*path, "source"), "is not read, since source.tokenizer is null; set it to null too"
    if source.tokenizer is not None and data.columns.source is None:
        yield (*path, "source"), "is null, but source.tokenizer reads a text; name its column"


def _draws_images(data: DataSet) -> bool:
    """Whether the data is made at run time, images and all."""
    return isinstance(data, (ShapeCaptionsData, ShapeQuestionsData))


def _image_text(recipe: Recipe) -> Broken:
    encoder, decoder = recipe.model.encoder, recipe.model.decoder
    if not isinstance(encoder, ImageTextEncoder):
        return
    wide, long = memory_width(encoder.image), memory_width(encoder.text)
    if wide != long:
        yield (
            ("model", "encoder", "image", "hidden_size"),
            f"image and text go into one memory, but their states are {wide} and {long} wide; set this to {long}",
        )
    if not attends(decoder):
        yield (
            ("model", "decoder"),
            "starts from the text's summary and has no attention, so it never sees the image; choose an attention",
        )


def _grids(recipe: Recipe) -> Broken:
    pixels = recipe.source.image
    for path, encoder in encoders(recipe.model):
        if not isinstance(encoder, (ConvEncoder, PatchEncoder, FeaturesEncoder)):
            continue
        if encoder.positions == "sinusoidal" and encoder.hidden_size % 4:
            yield (
                (*path, "hidden_size"),
                f"waves over rows and columns need a multiple of 4, not {encoder.hidden_size}",
            )
        if not isinstance(pixels, Pixels):
            continue
        if isinstance(encoder, ConvEncoder) and min(pixels.width, pixels.height) < 2 ** len(encoder.channels):
            yield (
                (*path, "channels"),
                f"{len(encoder.channels)} stages halve {pixels.width} × {pixels.height} pixels to less than one cell",
            )
        if isinstance(encoder, PatchEncoder):
            width, height = halved(pixels.width, encoder.stem), halved(pixels.height, encoder.stem)
            if width % encoder.patch_size or height % encoder.patch_size:
                unit = "cells of the stem's map" if encoder.stem else "pixels"
                yield (
                    (*path, "patch_size"),
                    f"{width} × {height} {unit} cannot be cut into whole patches of {encoder.patch_size}",
                )


def _stages(recipe: Recipe) -> Broken:
    for path, encoder in encoders(recipe.model):
        if isinstance(encoder, ConvEncoder) and len(blocks_of(encoder)) != len(encoder.channels):
            yield (
                (*path, "blocks"),
                f"has {len(blocks_of(encoder))} numbers for the {len(encoder.channels)} stages that channels names; give one for each, "
                "or one number for all",
            )


def _shared_images(recipe: Recipe) -> Broken:
    if recipe.training.share_images is not None and recipe.source.image is None:
        yield ("training", "share_images"), "there are no images to share; leave it out, or give source.image"


def _what_goes_with_a_row(recipe: Recipe) -> Broken:
    for path, data in data_sets(recipe.data).items():
        if isinstance(data, (HubData, DiskData, FilesData)):
            yield from _beside_a_source(recipe.source, (*path, "columns"), data.columns)


def _beside_a_source(source: Source, path: tuple[str, ...], columns: Columns) -> Broken:
    if columns.features is not None and source.tokenizer is None:
        yield (*path, "features"), "are symbols before a text, but source.tokenizer is null; leave them out"
    if columns.boxes is not None and source.image is None:
        yield (*path, "boxes"), "are places in an image, but there is none; give source.image, or leave them out"
    if columns.boxes is not None and isinstance(source.image, FeatureGrid):
        yield (*path, "boxes"), "are in pixels, but source.image reads features, which have none; leave them out"
    if columns.references is not None and isinstance(columns.target, list):
        yield (
            (*path, "references"),
            "holds all answers that count, and several target columns would too; leave one of both out",
        )


IMAGE_RULES = (
    _reads_what_is_there,
    _source_columns,
    _what_goes_with_a_row,
    _image_text,
    _grids,
    _stages,
    _shared_images,
)
