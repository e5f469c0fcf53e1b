"""The words about altered replicas, and the name of a replacement that `syncd verify --repair` writes beside one."""

from collections.abc import Mapping
from typing import TypeVar

SUFFIX = ".vouched"
VOUCHES = "the digest vouches for"
"""Stands in the detail of a conflict once its digest was asked."""
_BEFORE = "; as it was verified before: "

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


def still_vouched(detail: str, before: str) -> str:
    """Return the detail of a conflict that is found again. What its digest vouches for was told before, and stays."""
    if VOUCHES in detail or VOUCHES not in before:
        return detail
    return f"{detail}{_BEFORE}{before.rpartition(_BEFORE)[2]}"
