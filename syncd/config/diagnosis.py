"""What is wrong with a table that was read from TOML: everything at once, in sentences of our own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from syncd.config.job import Job, Settings
from syncd.config.schema import FILES, keys_of, table_in, tables_of, words_of
from syncd.config.tables import Table
from syncd.config.words import Finding, did_you_mean, shown

TableT = TypeVar("TableT", bound=Table)

_UNKNOWN_TOLD = 20
"""Keys of one table; to look for a similar one takes a moment for each."""


class UnreadError(Exception):
    """A value was asked for that could not be read."""


class Parts:
    """The values of a table that could be read, where not all could; the rest raises UnreadError."""

    def __init__(self, table: type[Table], values: Mapping[str, Any]) -> None:
        self._table = table
        self._values = values

    def __getattr__(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        derived = getattr(self._table, name, None)
        if isinstance(derived, property) and derived.fget is not None:
            return derived.fget(self)
        raise UnreadError(name)


def examine(
    table: type[TableT], raw: Mapping[str, Any], rules: Sequence[Callable[[Any], Iterator[Finding]]]
) -> tuple[TableT | Parts, list[Finding]]:
    """The value of a whole file and no findings, or what could be read of it and everything that is wrong."""
    try:
        return table.model_validate(raw), []
    except ValidationError:
        findings: list[Finding] = []
        parts = read(table, raw, findings)
    for rule in rules:
        with suppress(UnreadError):
            findings.extend(rule(parts))
    return parts, findings or [Finding("", "cannot be used as a configuration")]


def read(
    table: type[Table], raw: Mapping[str, Any], findings: list[Finding], *, path: str = "", partial: bool = False
) -> Parts:
    """What can be read of a table; appends what is wrong to `findings`. Of a `partial` one nothing is required."""
    known = keys_of(table)
    names = {field.alias or name: name for name, field in table.model_fields.items()}
    unknown = [key for key in raw if key not in known]
    findings += [Finding(_dotted(path, key), _unknown(table, key)) for key in unknown[:_UNKNOWN_TOLD]]
    if len(unknown) > _UNKNOWN_TOLD:
        findings.append(Finding(path, f"has {len(unknown) - _UNKNOWN_TOLD} more keys that are none of syncd's"))
    values: dict[str, Any] = {}
    for key, field in known.items():
        dotted, inner = _dotted(path, key), table_in(field)
        if inner is not None and (key in raw or field.is_required()):
            content = raw.get(key, {})
            if isinstance(content, Mapping):
                values[names[key]] = read(inner, content, findings, path=dotted, partial=partial)
            else:
                findings.append(Finding(dotted, f"{shown(content)} is no table; write [{dotted}] and its keys below"))
        elif key in raw:
            try:
                values[names[key]] = _reader(table, names[key]).validate_python(raw[key])
            except ValidationError as error:
                findings.append(Finding(dotted, str(error.errors()[0]["ctx"]["error"])))
        elif not field.is_required():
            values[names[key]] = field.get_default(call_default_factory=True)
        elif not partial:
            findings.append(Finding(dotted, f"is missing: {field.description} ({words_of(field).type})"))
    return Parts(table, {**values, "model_fields_set": {names[key] for key in raw if key in known}})


@lru_cache(maxsize=256)
def _reader(table: type[Table], name: str) -> TypeAdapter[Any]:
    field = table.model_fields[name]
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(kind)


def _dotted(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _unknown(table: type[Table], key: str) -> str:
    known = keys_of(table)
    hint = did_you_mean(key, known)
    if hint:
        return f"is no key{hint}"
    places = {file: [path for path, inner in tables_of(top) if key in keys_of(inner)] for file, top in FILES.items()}
    here, there = ("syncd.toml", "job") if _is_in(Settings, table) else ("job", "syncd.toml")
    if places[here]:
        where = " or ".join(f"[{path}]" if path else "the top of the file" for path in places[here])
        return f"is no key here; it belongs in {where}"
    if places[there]:
        return f"is no key here; it belongs in {'syncd.toml' if here == 'job' else 'a job file, or in [defaults]'}"
    return f"is no key; known here: {', '.join(known)}"


def _is_in(top: type[Settings] | type[Job], table: type[Table]) -> bool:
    return any(inner is table for _, inner in tables_of(top))
