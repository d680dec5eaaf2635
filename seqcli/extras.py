"""The extras: what only some commands need, and what is said where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from seqcli.errors import RecipeError

Extra = Literal["plots", "images", "serve", "ctranslate2", "onnx", "tensorboard", "wandb", "trackio"]

EXTRAS: dict[Extra, dict[str, str]] = {
    "plots": {"matplotlib": "matplotlib", "PIL": "Pillow"},
    "images": {"PIL": "Pillow"},
    "serve": {"starlette": "starlette", "uvicorn": "uvicorn", "python_multipart": "python-multipart"},
    "ctranslate2": {"ctranslate2": "ctranslate2"},
    "onnx": {"onnx": "onnx", "onnxscript": "onnxscript"},
    "tensorboard": {"tensorboard": "tensorboard"},
    "wandb": {"wandb": "wandb"},
    "trackio": {"trackio": "trackio"},
}
"""The modules of each extra that seqcli imports, or has torch import, and the packages that they come with."""


def require(extra: Extra, what: str) -> None:
    """Raise `RecipeError` unless all packages of an extra, which `what` needs, are installed. Nothing is imported."""
    for module, package in EXTRAS[extra].items():
        spec = find_spec(module)
        # a folder of that name that happens to lie here is found too, but comes from no file
        if spec is None or spec.origin is None:
            raise RecipeError(
                f"{what} needs {package}, which is not installed; in the folder of seqcli: pip install '.[{extra}]'"
            )
