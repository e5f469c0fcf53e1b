"""Faults that syncd does not get over yet, and why: this list is to be emptied."""

from collections.abc import Mapping

NOT_YET: Mapping[str, str] = {}
