"""Any model for ONNX runtimes: two graphs, and `model.json`, which has all else that is needed to decode with them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqcli.data.tokenizer import Tokenizer
from seqcli.data.vocabulary import VocabularyTokenizer
from seqcli.export.folder import Exported, export_folder
from seqcli.export.graphs import OPSET, write_graphs
from seqcli.extras import require
from seqcli.recipe.sides import Side, Source
from seqcli.storage import write_file
from seqcli.symbols import BOS, EOS, PAD, UNK

FORMAT = 1
HOW = (
    "Run `encoder` on the sources (ids, EOS last, PAD behind it where sources of several lengths are rows of one batch). Then, from BOS on, run "
    "`step` on the last symbol of each row, the number of symbols read before it, and the tensors that came out, a cache being renewed by "
    "the output of its name with `next.` before. Of the logits those in `never_written` do not count. A row ends at EOS, at max_length "
    "symbols, or at max_ratio times the source's length (EOS counted) and 10 more. Where `unknown` is copied, each `unk` that is written stands "
    "for the source's next symbol that is not among its tokens. `split` says how a text becomes symbols: with capitals, a capital is ⇧ and its "
    "small letter; with punctuation, each mark is a word of its own; symbols stand between `separator`s. What is written in parts (`normalize` "
    "of the target is nfd or nfkd) is put together as NFC."
)


def export_onnx(place: Path, exported: Exported) -> None:
    """Write a folder with `encoder.onnx`, `step.onnx` and `model.json`."""
    require("onnx", "an export to onnx")
    recipe, translator = exported.recipe, exported.translator
    with export_folder(place, exported, "onnx", {"opset": OPSET}) as folder:
        reader = translator.image_reader
        texts = recipe.source.tokenizer is not None
        # the run's own model stays where it is
        model = copy.deepcopy(translator.model).cpu()
        graphs = write_graphs(folder, model, texts=texts, image_shape=None if reader is None else reader.shape)
        _refuse_broken(folder / graph.file for graph in graphs)
        about: dict[str, Any] = {
            "format": FORMAT,
            "how": HOW,
            "encoder": asdict(graphs[0]),
            "step": asdict(graphs[1]),
            "symbols": {"pad": PAD, "bos": BOS, "eos": EOS, "unk": UNK},
            "never_written": [PAD, BOS] if recipe.search.unknown else [PAD, BOS, UNK],
            "unknown": "copied" if recipe.search.unknown == "copied" else None,
            "max_length": recipe.search.max_length,
            "max_ratio": recipe.search.max_ratio if texts and reader is None else None,
            "longest_source": translator.longest_source,
            "longest_target": translator.longest_target,
            "source": _side(recipe.source, translator.source_tokenizer, reverse=recipe.source.reverse)
            if texts
            else None,
            "image": _image(recipe.source),
            "target": _side(recipe.target, translator.target_tokenizer),
        }
        write_file(folder / "model.json", f"{json.dumps(about, ensure_ascii=False, indent=1)}\n".encode())


def _side(side: Side, tokenizer: Tokenizer, **more: Any) -> dict[str, Any]:
    """What is done to one side's text, how it is cut, and the symbol of each id."""
    first = {"normalize": side.normalize, "lowercase": side.lowercase, **more}
    how = tokenizer.splitting if isinstance(tokenizer, VocabularyTokenizer) else {}
    return {**first, "tokenizer": tokenizer.kind, **how, "tokens": tokenizer.tokens(range(tokenizer.size))}


def _image(source: Source) -> dict[str, Any] | None:
    """How images are read; the pixels of each channel then go from -1 to 1."""
    return None if source.image is None else source.image.model_dump()


def _refuse_broken(paths: Iterable[Path]) -> None:
    """Let onnx look at what was written."""
    import onnx

    for path in paths:
        onnx.checker.check_model(str(path))
