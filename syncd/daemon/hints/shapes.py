"""Messages in all the shapes in which AWS tells of new objects. Pure.

S3 notification       {"Records": [{"eventName": "ObjectCreated:Put", "s3": {…}}]}    keys are form-encoded
EventBridge           {"detail-type": "Object Created", "detail": {…}}                keys are as they are
CloudTrail            {"s3Bucket": "…", "s3ObjectKey": ["…"]}                         keys are as they are
SNS                   {"Type": "Notification", "Message": "…"}                        around any of them, or not at all
"""

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

_CREATIONS = ("ObjectCreated:", "s3:ObjectCreated:", "ObjectRestore:Completed", "s3:ObjectRestore:Completed")
_EVENTBRIDGE = frozenset({"Object Created", "Object Restore Completed"})
_CLOUDTRAIL_TEST = "CloudTrail validation message."
_LONGEST_KEY_BYTES = 1024


class Word(StrEnum):
    """A word for what became of a message, which is a label of a metric."""

    TAKEN = "taken"
    """It names an object that a job of this daemon wants."""
    FOREIGN = "foreign"
    """It names objects, and no job of this daemon wants any."""
    OTHER = "other"
    """It tells of other events than new objects."""
    DROPPED = "dropped"
    """So many are waiting that this one is left to the schedule."""
    TEST = "test"
    UNREADABLE = "unreadable"


class Hint(NamedTuple):
    """An object that may be there."""

    bucket: str
    key: str


class Read(NamedTuple):
    """The hints of a message, or in their place the word for why there are none."""

    hints: Sequence[Hint]
    word: Word = Word.TAKEN


class _UnreadableError(Exception):
    """A message in no known shape."""


def read(body: str) -> Read:
    """Read a message. Whatever it is, it raises nothing."""
    if body.strip() == _CLOUDTRAIL_TEST:
        return Read((), Word.TEST)
    try:
        document = _object(body)
        if isinstance(document.get("Message"), str) and "TopicArn" in document:
            return _inner(document["Message"])
        return _of(document)
    except _UnreadableError:
        return Read((), Word.UNREADABLE)


def _inner(message: str) -> Read:
    """Read what SNS has wrapped, which is not wrapped again."""
    return Read((), Word.TEST) if message.strip() == _CLOUDTRAIL_TEST else _of(_object(message))


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _UnreadableError from error
    return _table(found)


def _of(document: Mapping[str, Any]) -> Read:
    if document.get("Event") == "s3:TestEvent":
        return Read((), Word.TEST)
    if "s3ObjectKey" in document:
        hints = _each(document["s3ObjectKey"], lambda key: _hint(document.get("s3Bucket"), key))
    elif "detail" in document:
        hints = _each([document], _of_eventbridge)
    elif "Records" in document:
        hints = _each(document["Records"], _of_s3)
    else:
        raise _UnreadableError
    return Read(hints) if hints else Read((), Word.OTHER)


def _of_s3(record: object) -> Hint | None:
    if not _text(_table(record).get("eventName")).startswith(_CREATIONS):
        return None
    about = _table(_table(record).get("s3"))
    return _hint(_table(about.get("bucket")).get("name"), unquote_plus(_key(about), errors="surrogateescape"))


def _of_eventbridge(document: Mapping[str, Any]) -> Hint | None:
    if document.get("detail-type") not in _EVENTBRIDGE:
        return None
    about = _table(document["detail"])
    return _hint(_table(about.get("bucket")).get("name"), _key(about))


def _each(items: object, read_one: Callable[[Any], Hint | None]) -> list[Hint]:
    """Return what can be read of a list. Raises _UnreadableError if nothing can."""
    found, raised = [], None
    for item in _list(items):
        try:
            found.append(read_one(item))
        except _UnreadableError as error:
            raised = error
    if raised is not None and not found:
        raise raised
    return [hint for hint in found if hint is not None]


def _key(about: Mapping[str, Any]) -> str:
    return _text(_table(about.get("object")).get("key"))


def _hint(bucket: object, key: object) -> Hint:
    """Return a hint at a key that S3 can have."""
    name = _text(key)
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError as error:
        raise _UnreadableError from error
    if not 0 < size_bytes <= _LONGEST_KEY_BYTES:
        raise _UnreadableError
    return Hint(_text(bucket), name)


def _table(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _UnreadableError
    return value


def _list(value: object) -> Sequence[Any]:
    if not isinstance(value, list):
        raise _UnreadableError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _UnreadableError
    return value
