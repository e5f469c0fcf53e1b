"""The base of all tables of the configuration, and what its keys say of themselves."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, create_model
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from syncd.config.fields import Words
from syncd.config.words import shown

TableT = TypeVar("TableT", bound="Table")


class Table(BaseModel):
    """A frozen table that takes no unknown key. What pydantic needs to read it is built when the first one is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the JSON Schema with defaults as TOML writes them and without null, which TOML has not."""
        whole = handler(core)
        schema = handler.resolve_ref_schema(whole)
        for key, field in keys_of(cls).items():
            old = schema["properties"][key]
            new = {name: item for name, item in old.items() if name not in {"title", "default", "default_words"}}
            if "anyOf" in new:
                kinds = [kind for kind in new.pop("anyOf") if kind != {"type": "null"}]
                new |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
            if (words := words_of(field)) is not None:
                new["description"] = f"{field.description} ({words.type})"
                if (default := default_of(field, words)) not in {"required", "none"}:
                    new |= {"default": tomllib.loads(f"x = {default}")["x"]} if _is_toml(default) else {}
            schema["properties"][key] = new
        schema.pop("title", None)
        return whole


class Later(NamedTuple):
    """The type of a key that holds a table which is made for the first file that has the key."""

    make: Callable[[], type[Table]]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        """Return what checks the key. Called by pydantic."""
        del source, handler
        return core_schema.no_info_plain_validator_function(lambda raw: self.make().model_validate(raw))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the JSON Schema of the table. Called by pydantic."""
        del core
        return handler(self.make().__pydantic_core_schema__)


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
    """The TOML text, `required`, or `none`."""
    description: str


def rows_of(file: str, model: type[Table]) -> list[Row]:
    """Return the keys of a file, in the order of the example files."""
    return [
        Row(file, path, key, words.type, default_of(field, words), field.description or "")
        for path, table in tables_of(model)
        for key, field in keys_of(table).items()
        if (words := words_of(field)) is not None
    ]


@cache
def keys_of(table: type[Table]) -> Mapping[str, FieldInfo]:
    """Return the keys of one table as TOML spells them."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


def tables_of(table: type[Table], path: str = "") -> Iterator[tuple[str, type[Table]]]:
    """Return the table itself and every table in it, each with its dotted name."""
    yield path, table
    for key, field in keys_of(table).items():
        inner = table_in(field)
        if inner is not None and words_of(field) is None:
            yield from tables_of(inner, f"{path}.{key}" if path else key)


def table_in(field: FieldInfo) -> type[Table] | None:
    """Return the table that a key holds, or None if it holds a value."""
    kinds = (
        field.annotation,
        *get_args(field.annotation),
        *(each.make() for each in field.metadata if isinstance(each, Later)),
    )
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Table)), None)


def words_of(field: FieldInfo) -> Words | None:
    """Return the words for the type of a key, or None if it is a table."""
    kinds = (field.annotation, *get_args(field.annotation))
    nested = [item for kind in kinds for item in getattr(kind, "__metadata__", ())]
    choices = [get_args(kind) for kind in kinds if get_origin(kind) is Literal]
    of_choices = [Words(" or ".join(shown(word) for word in words)) for words in choices]
    return next((item for item in (*field.metadata, *nested, *of_choices) if isinstance(item, Words)), None)


def default_of(field: FieldInfo, words: Words) -> str:
    """Return the default of a key as TOML writes it, or `required`, or `none`."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "default_words" in extra:
        return str(extra["default_words"])
    if field.is_required():
        return "required"
    default: Any = field.get_default(call_default_factory=True)
    return "none" if default is None else words.show(default)


@cache
def partial(table: type[TableT]) -> type[TableT]:
    """Return the same table with no key required, for defaults and for files that are wrong in part."""
    changed: dict[str, Any] = {}
    for name, field in table.model_fields.items():
        inner = table_in(field)
        kind: Any = field.annotation
        if inner is not None and (part := partial(inner)) is not inner:
            kind = part | None if type(None) in get_args(kind) else part
        if field.is_required() or kind is not field.annotation:
            about: dict[str, Any] = {"alias": field.alias, "description": field.description, "repr": field.repr}
            is_made = inner is not None and field.is_required()
            about |= {"default_factory": kind} if is_made else {"default": None}
            changed[name] = (Annotated[(kind, *field.metadata)] if field.metadata else kind, Field(**about))
    name = f"Partial{table.__name__}"
    return (
        create_model(name, __base__=table, __module__=__name__, __doc__=table.__doc__, **changed) if changed else table
    )


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(f"x = {text}")
    except tomllib.TOMLDecodeError:
        return False
    return True
