"""HTML from Python values: whatever is not markup already is escaped."""

from html import escape

from syncd.model.escaping import visible

_VOID = frozenset({"meta", "input"})


class Markup(str):
    """Text that is markup, and stays as it is."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A value as text in a page; what cannot be seen is written as an escape."""
    return value if isinstance(value, Markup) else Markup(escape(visible(str(value))))


def join(*parts: object) -> Markup:
    """Parts one after the other; None is nothing."""
    return Markup("".join(text(part) for part in parts if part is not None))


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element. In attribute names `_` stands for a dash, and one at the end for nothing; None and False are left out."""
    written = "".join(
        f' {_attribute(key)}="{escape(visible(str(value)))}"' if value is not True else f" {_attribute(key)}"
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def _attribute(key: str) -> str:
    return key.removesuffix("_").replace("_", "-")
