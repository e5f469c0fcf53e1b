"""Calls to STS by the wire, one attempt each."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode
from xml.etree.ElementTree import Element, ParseError, fromstring

from syncd.aws.s3 import Address, Answer, Request, Side
from syncd.aws.transport import Transport
from syncd.aws.wire import certificates
from syncd.aws.wire.signing import Credentials
from syncd.model.errors import JobFailed

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

WIRE_SECONDS = 5.0
"""The longest wait for an answer. After it botocore asks, which has its own deadlines."""
VERSION = "2011-06-15"
"""The version of the STS API."""
_FORM = (("content-type", "application/x-www-form-urlencoded; charset=utf-8"),)
_GRACE_SECONDS = 2.0
_SILENT_SECONDS = 300.0
"""The time for which a server that did not answer is left to botocore alone, so that nothing waits twice each time."""
_REFUSALS = frozenset(
    {
        "AccessDenied",
        "ExpiredToken",
        "InvalidClientTokenId",
        "MalformedPolicyDocument",
        "PackedPolicyTooLarge",
        "RegionDisabledException",
        "ValidationError",
    }
)
"""Codes that no other attempt and no other signature changes (AssumeRole and "Common Errors", STS API Reference)."""


class Wire:
    """The wire that STS is asked by, and the servers that did not answer on it."""

    def __init__(self) -> None:
        self._silent_until: dict[str, float] = {}

    def ask(self, request: Request, address: Address, credentials: Credentials) -> Answer | None:
        """Return the answer to one attempt, or None if there is none."""
        if monotonic() < self._silent_until.get(address.host, 0.0):
            return None
        try:
            # On this thread: a file may never end, and the wire's thread has others to serve.
            certificates.check(address.authorities if address.scheme == "https" else "")
            transport = self._transport
        except (OSError, ValueError, JobFailed):
            return None
        answered: SimpleQueue[Answer] = SimpleQueue()
        transport.send(request, address, credentials, answered.put)
        try:
            answer = answered.get(timeout=WIRE_SECONDS + _GRACE_SECONDS)
        except Empty:
            answer = Answer(0, {}, b"")
        if not answer.status:
            self._silent_until[address.host] = monotonic() + _SILENT_SECONDS
        return answer if answer.status else None

    @cached_property
    def _transport(self) -> Transport:
        return Transport(deadline_seconds=WIRE_SECONDS, attempts=1)


class Sts:
    """Client of STS with the two calls of a tick. What the wire does not get answered, botocore's client asks again."""

    class Meta(NamedTuple):
        """The place that it asks, with botocore's names."""

        endpoint_url: str
        region_name: str

    def __init__(self, address: Address, credentials: Credentials, *, wire: Wire, whole: Callable[[], Any]) -> None:
        """`whole` makes botocore's client with the same credentials."""
        self.meta = self.Meta(f"{address.scheme}://{address.host}{address.base_path}", address.region)
        self._address = address
        self._credentials = credentials
        self._wire = wire
        self._make_client = whole
        self._made: Any = None

    def assume_role(self, **parameters: Any) -> Mapping[str, Any]:
        """Return the answer of AssumeRole. Raises whatever botocore's client raises."""
        found = self._fields("AssumeRole", "AssumeRoleResult/Credentials", parameters)
        ends = _time(found.get("Expiration", ""))
        if ends is None or not all(map(found.get, ("AccessKeyId", "SecretAccessKey", "SessionToken"))):
            whole: Mapping[str, Any] = self._client().assume_role(**parameters)
            return whole
        return {"Credentials": {**found, "Expiration": ends}}

    def get_caller_identity(self) -> Mapping[str, Any]:
        """Return the answer of GetCallerIdentity. Raises whatever botocore's client raises."""
        found = self._fields("GetCallerIdentity", "GetCallerIdentityResult", {})
        if not (found.get("Arn") and found.get("Account")):
            whole: Mapping[str, Any] = self._client().get_caller_identity()
            return whole
        return found

    def _client(self) -> Any:
        if self._made is None:
            self._made = self._make_client()
        return self._made

    def _fields(self, call: str, place: str, parameters: Mapping[str, Any]) -> dict[str, str]:
        """Return what an answer has in a place, or nothing if botocore should ask again. Raises ClientError if refused."""
        body = urlencode([("Action", call), ("Version", VERSION), *_flat(parameters)]).encode()
        answer = self._wire.ask(
            Request(call, Side.SOURCE, "POST", "", "", _FORM, body), self._address, self._credentials
        )
        if answer is None:
            return {}
        document = document_of(answer.body)
        found = document.find("/".join(f"{{*}}{name}" for name in place.split("/")))
        if answer.status == 200 and found is not None:
            return {item.tag.rpartition("}")[2]: item.text or "" for item in found}
        if answer.status in {400, 403} and _error_of(document)[0] in _REFUSALS:
            raise refusal(call, answer.status, document)
        return {}


def _flat(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield parameters as the AWS query protocol has them: members of a list by their numbers, from 1."""
    for name, value in parameters.items():
        if isinstance(value, list):
            for number, member in enumerate(value, start=1):
                yield from ((f"{name}.member.{number}.{key}", str(text)) for key, text in member.items())
        else:
            yield name, str(value)


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def document_of(body: bytes) -> Element:
    """Return the document of an answer, or an empty one if it has none."""
    try:
        return fromstring(body)  # noqa: S314  # expat itself bounds entity expansion
    except (ParseError, LookupError, ValueError):
        return Element("none")


def _error_of(document: Element) -> tuple[str, str]:
    """Return the code and message of an ErrorResponse, a Response with Errors, or an Error. Empty if it is none."""
    for place in ("{*}Error", "{*}Errors/{*}Error"):
        if (error := document.find(place)) is not None:
            break
    else:
        error = document if document.tag.rpartition("}")[2] == "Error" else Element("none")
    return error.findtext("{*}Code") or "", error.findtext("{*}Message") or ""


def refusal(call: str, status: int, document: Element) -> "ClientError":
    """Return what botocore raises where STS refuses a call."""
    from botocore.exceptions import ClientError  # noqa: PLC0415  # an idle tick goes without

    code, message = _error_of(document)
    response = {
        "Error": {"Code": code or str(status), "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, call)  # type: ignore[arg-type]  # it has more where botocore answers
