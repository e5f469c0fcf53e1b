"""Events as lines of JSON, in ASCII, with bounded facts."""

import json
from collections.abc import Mapping
from typing import Any

from syncd.model.escaping import cut

_TRACEBACK = "exception"
_LONGEST_FACT = 4_000
_LONGEST_TRACEBACK = 20_000


def as_json(facts: Mapping[str, Any]) -> str:
    """Render one line, with each fact cut to its longest size."""
    longest = {_TRACEBACK: _LONGEST_TRACEBACK}
    bounded = {name: _cut(value, longest.get(name, _LONGEST_FACT)) for name, value in facts.items()}
    return json.dumps(bounded, default=repr)


def _cut(value: Any, most: int) -> Any:
    match value:
        case str():
            return cut(value, most)
        case Mapping():
            return {cut(str(key), most): _cut(item, most) for key, item in value.items()}
        case list() | tuple():
            return [_cut(item, most) for item in value]
        case _:
            return value
