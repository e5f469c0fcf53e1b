"""The name of a replacement that `syncd verify --repair` writes beside an altered replica."""

from collections.abc import Mapping
from typing import TypeVar

SUFFIX = ".vouched"

T = TypeVar("T")


def beside(key: str) -> str:
    """Return the key of the replacement of an altered replica."""
    return key + SUFFIX


def replaced_by(key: str) -> str:
    """Return the key that a replacement stands beside. Returns an empty text if it is no replacement's name."""
    return key.removesuffix(SUFFIX) if key.endswith(SUFFIX) else ""


def without_replacements(items: Mapping[str, T]) -> dict[str, T]:
    """Return the items by key, without replacements that stand beside one of them."""
    return {key: item for key, item in items.items() if replaced_by(key) not in items}
