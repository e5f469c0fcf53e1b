"""The members of a bundle, as they are written. Whoever made it may have written anything."""

from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from syncd.config.fields import JobName
from syncd.verify.rules.verdict import Flaw

VERSION = 1
_STRICT = ConfigDict(strict=True)
_Instant = Annotated[float, Field(ge=0, le=253_402_300_799, allow_inf_nan=False)]
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]*$")]
"""It stands in the names of files, or on a terminal as it is."""


@dataclass(config=_STRICT, frozen=True, slots=True, kw_only=True)
class PlaceMember:
    """One account and region."""

    account: _Word
    region: _Word
    digests: str
    kinds: dict[str, str]
    organization: _Word = ""
    former: list["PlaceMember"] = Field(default_factory=list)
    is_copied: bool = True


@dataclass(config=_STRICT, frozen=True, slots=True, kw_only=True)
class AskedMember:
    """`asked.json`: what was asked, and of what."""

    version: int
    job: JobName
    bucket: str
    first: _Instant
    last: Annotated[_Instant, Field(gt=0)]
    places: list[PlaceMember]
    trail_buckets: list[str] = Field(default_factory=list)
    newest: dict[str, list[tuple[_Instant, str]]] = Field(default_factory=dict)
    """The newest digest of each chain, by the prefix of the digests of its account and region."""


@dataclass(config=_STRICT, frozen=True, slots=True, kw_only=True)
class ObjectMember:
    """A line of `objects.jsonl`: an object that was listed, and its hash or what is wrong with it."""

    key: str = ""
    size: int = Field(default=0, ge=0)
    modified: _Instant = 0.0
    unlisted: bool = False
    kept: bool = False
    sha256: str | None = None
    finding: tuple[Flaw, str] | None = None


@dataclass(config=_STRICT, frozen=True, slots=True, kw_only=True)
class DigestMember:
    """`digests/N.json`: the key and the metadata of a digest."""

    key: str
    signature: str
    algorithm: str
    generated_at: float | None


ASKED, OBJECT, DIGEST = TypeAdapter(AskedMember), TypeAdapter(ObjectMember), TypeAdapter(DigestMember)
_Member = TypeVar("_Member")


def member(form: TypeAdapter[_Member], name: str, raw: bytes) -> _Member:
    """Return a member of a bundle, taken apart.

    Raises:
        ValueError: it is not of this form; the member and the field are named.
    """
    try:
        return form.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise ValueError(f"{name}: {field + ': ' if field else ''}{first['msg']}") from None
