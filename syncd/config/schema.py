"""Every table and key of the configuration, as rows: for the reference, and for messages about unknown keys."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, get_args

from pydantic.fields import FieldInfo

from syncd.config.fields import Words
from syncd.config.job import Job, Settings
from syncd.config.tables import Table

FILES: Mapping[str, type[Table]] = {"syncd.toml": Settings, "job": Job}


class Row(NamedTuple):
    """One key of the configuration."""

    file: str
    """`syncd.toml`, or `job` for a job file."""
    table: str
    """Dotted name of the table, such as `source.role`; empty for the file's top level."""
    key: str
    type: str
    """In words."""
    default: str
    """As TOML would write it; `required`, or `none`."""
    description: str


def schema_rows() -> Sequence[Row]:
    """All keys, in the order of the example files."""
    return [
        Row(file, path, key, words_of(field).type, _default(field), field.description or "")
        for file, model in FILES.items()
        for path, table in tables_of(model)
        for key, field in keys_of(table).items()
        if table_in(field) is None
    ]


@lru_cache
def keys_of(table: type[Table]) -> Mapping[str, FieldInfo]:
    """The keys of one table as TOML spells them."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


def tables_of(table: type[Table], path: str = "") -> Iterator[tuple[str, type[Table]]]:
    """The table itself and every table in it, each with its dotted name."""
    yield path, table
    for key, field in keys_of(table).items():
        inner = table_in(field)
        if inner is not None:
            yield from tables_of(inner, f"{path}.{key}" if path else key)


def table_in(field: FieldInfo) -> type[Table] | None:
    """The table that a key holds; None for a key that holds a value."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Table)), None)


def words_of(field: FieldInfo) -> Words:
    """How the reference describes the type of a key that holds a value."""
    nested = [item for kind in get_args(field.annotation) for item in getattr(kind, "__metadata__", ())]
    return next(item for item in (*field.metadata, *nested) if isinstance(item, Words))


def _default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "default_words" in extra:
        return str(extra["default_words"])
    if field.is_required():
        return "required"
    default: Any = field.get_default(call_default_factory=True)
    return "none" if default is None else _in_toml(words_of(field), default)


def _in_toml(words: Words, default: Any) -> str:
    text = words.show(default)
    # Durations and sizes are texts in TOML.
    return f'"{text}"' if words.type.startswith(("duration", "size", '"now"')) else text
