"""Problems of a file: pydantic's errors as sentences for operators, then the rules between keys."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from syncd.config.fields import Words
from syncd.config.job import JOB, SETTINGS, Document
from syncd.config.table import Table, keys_of, table_in, tables_of, words_of
from syncd.config.words import Finding, did_you_mean, shown

_UNKNOWN_TOLD = 20
"""Keys of one table; to look for a similar one takes a moment for each."""
_WITHOUT_QUOTES = {"bool_type", "int_type", "float_type"}


class _Place(NamedTuple):
    """The place of an error in a file."""

    keys: tuple[str, ...]
    table: type[Table]
    """The table that holds the last key."""
    inner: tuple[Any, ...]
    """The place within the value, such as the number of an item of a list."""

    @property
    def dotted(self) -> str:
        return ".".join(self.keys)


def examine(document: Document, raw: Mapping[str, Any]) -> tuple[Table, list[Finding]]:
    """Return a whole file and no findings, or the part of it that is right and everything that is wrong.

    The part is a table without the attributes whose keys are missing or wrong.
    """
    try:
        return document.whole.model_validate(raw), []
    except ValidationError as error:
        # The error of the whole, without a place, is that of the rules, which are asked again below.
        errors = [each for each in error.errors(include_url=False) if each["loc"]]
    places = [_place(document.whole, each["loc"]) for each in errors]
    findings = list(_findings(document, raw, errors, places))
    part = _right_part(document.parts, raw, places)
    for rule in document.rules:
        with suppress(AttributeError):
            findings.extend(rule(part))
    return part, findings


def _place(table: type[Table], loc: Sequence[int | str]) -> _Place:
    for depth, key in enumerate(loc, 1):
        field = keys_of(table).get(str(key))
        inner = None if field is None else table_in(field)
        if inner is None or depth == len(loc):
            break
        table = inner
    return _Place(tuple(map(str, loc[:depth])), table, tuple(loc[depth:]))


def _right_part(table: type[Table], raw: Mapping[str, Any], places: Sequence[_Place]) -> Table:
    pruned = dict(raw)
    for place in places:
        pruned = _without(pruned, place.keys)
    part = table.model_validate(pruned)
    for place in places:
        *above, key = place.keys
        inner: Any = part
        with suppress(AttributeError):
            for each in above:
                inner = getattr(inner, each)
            names = {field.alias or name: name for name, field in type(inner).model_fields.items()}
            inner.__dict__.pop(names.get(key), None)
    return part


def _without(raw: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    key, *rest = keys
    if rest and isinstance(raw.get(key), Mapping):
        return {**raw, key: _without(raw[key], rest)}
    return {name: value for name, value in raw.items() if rest or name != key}


def _findings(
    document: Document, raw: Mapping[str, Any], errors: Sequence[ErrorDetails], places: Sequence[_Place]
) -> Iterator[Finding]:
    """Find one sentence for each key: unknown keys first, then wrong ones in the order of the reference."""
    unknown: dict[tuple[str, ...], list[_Place]] = {}
    wrong: dict[tuple[str, ...], Finding] = {}
    for error, place in zip(errors, places, strict=True):
        if error["type"] == "extra_forbidden":
            unknown.setdefault(place.keys[:-1], []).append(place)
        elif place.keys not in wrong:
            wrong[place.keys] = Finding(place.dotted, _sentence(error, place, raw))
    for table, found in unknown.items():
        file = "job" if document is JOB or table[:1] == ("defaults",) else "syncd.toml"
        yield from (Finding(place.dotted, _unknown(place, file)) for place in found[:_UNKNOWN_TOLD])
        if len(found) > _UNKNOWN_TOLD:
            more = len(found) - _UNKNOWN_TOLD
            yield Finding(".".join(table), f"has {more} more keys that are none of syncd's")
    yield from wrong.values()


def _unknown(place: _Place, file: str) -> str:
    known, key = keys_of(place.table), place.keys[-1]
    hint = did_you_mean(key, known)
    if hint:
        return f"is no key{hint}"
    files = {"syncd.toml": SETTINGS.whole, "job": JOB.whole}
    homes = {name: [path for path, table in tables_of(top) if key in keys_of(table)] for name, top in files.items()}
    if homes.pop(file):
        paths = [path for path, table in tables_of(files[file]) if key in keys_of(table)]
        return f"is no key here; it belongs in {' or '.join(f'[{path}]' if path else 'the top of the file' for path in paths)}"
    if any(homes.values()):
        return f"is no key here; it belongs in {'syncd.toml' if file == 'job' else 'a job file, or in [defaults]'}"
    return f"is no key; known here: {', '.join(known)}"


def _sentence(error: ErrorDetails, place: _Place, raw: Mapping[str, Any]) -> str:
    field = keys_of(place.table)[place.keys[-1]]
    value = error["input"] if set(place.inner) - {"one", "list"} else _value(raw, place.keys)
    if table_in(field) is not None:
        dotted = place.dotted.removeprefix("defaults.")
        return f"{shown(value)} is no table; write [{dotted}] and its keys below"
    words = words_of(field)
    assert words is not None, "a key holds a table, or a value of a type with words"
    if error["type"] == "missing":
        return f"is missing: {field.description} ({words.type})"
    return _about(error, value, words)


def _value(raw: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        raw = raw.get(key) if isinstance(raw, Mapping) else None
    return raw


def _about(error: ErrorDetails, value: object, words: Words) -> str:
    """Return what is wrong with a value, and what would be right."""
    kind, context = error["type"], error.get("ctx", {})
    seen = shown(value) if words.is_shown else "this"
    remedy = f"; {words.remedy}" if words.remedy else ""
    match kind:
        case "value_error":
            sentence = str(context["error"])
        case "literal_error" if context["expected"] == "'*'":
            sentence = (
                f'{seen} is neither "*" nor a list; write {f"[{seen}]" if isinstance(value, str) else "texts in [ ]"}'
            )
        case "literal_error":
            known = re.findall("'([^']*)'", context["expected"])
            hint = did_you_mean(value, known) if isinstance(value, str) else ""
            sentence = f"{seen} is none of {', '.join(map(shown, known))}{remedy}{hint}"
        case "string_type":
            is_number = isinstance(value, int) and not isinstance(value, bool) and words.is_shown
            example = f', such as "{value}"' if is_number else ""
            sentence = f"{seen} is no text; write it in quotes{example}"
        case "bool_type":
            sentence = f"{seen} is neither true nor false (without quotes)"
        case "too_short":
            sentence = "the list is empty; name at least one, or leave the key out"
        case _:
            quotes = " (without quotes)" if kind in _WITHOUT_QUOTES else ""
            sentence = f"{seen} is no {words.type}{quotes}{remedy}"
    return sentence
