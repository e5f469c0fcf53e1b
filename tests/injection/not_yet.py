"""Faults that syncd does not get over yet, each with the reason: a list that is to be empty."""

from collections.abc import Mapping

NOT_YET: Mapping[str, str] = {}
