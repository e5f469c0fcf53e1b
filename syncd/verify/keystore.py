"""The public keys on disk: kept in the state directory for good, since AWS lists a key for a time and replicas live on.

The file has the fields of ListPublicKeys, and the region of each key, so that what the AWS CLI prints can be added.
"""

import json
import os
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from syncd.aws.endpoint import Principal
from syncd.aws.identity.principals import ConsumerPrincipal
from syncd.aws.policies.session import session_policies
from syncd.config.job import Job
from syncd.job.installation import Installation
from syncd.ledger.folder.locks import create_private, create_private_directory, lock_patiently, open_private
from syncd.model.errors import ConfigError, JobFailed, Problem
from syncd.verify.rules.keys import Keys, PublicKey

FILE = "cloudtrail-public-keys.json"
_NOT_ASKED = "the source is another server than AWS's: set endpoints.cloudtrail, or give the keys with --keys"
_CONNECT_SECONDS, _CALL_SECONDS = 5.0, 20.0
LARGEST_FILE_BYTES = 16 * 1024 * 1024


def kept_keys(state_dir: Path) -> Keys:
    """Return the keys that were kept in the state directory. Returns none if there is no file yet.

    Raises:
        ConfigError: the file cannot be read as keys.
    """
    path = state_dir / FILE
    return Keys(read_keys(path)) if path.exists() else Keys()


def keep_keys(state_dir: Path, keys: Keys) -> None:
    """Add the keys to those in the state directory, at once or not at all. Other processes may add theirs meanwhile.

    Raises:
        ConfigError: the file cannot be read as keys.
        OSError: it cannot be written.
    """
    create_private_directory(state_dir)
    lock = open_private(state_dir / f"{FILE}.lock")
    try:
        lock_patiently(lock, exclusive=True)
        kept = kept_keys(state_dir)
        before = kept.all()
        kept.add_all(keys.all())
        if kept.all() != before:
            _write(state_dir / FILE, keys_text(kept).encode())
    finally:
        os.close(lock)


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(create_private(part), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def keys_text(keys: Keys) -> str:
    """Return keys as they are written to a file."""
    entries = [
        {
            "Region": key.region,
            "Fingerprint": key.fingerprint,
            "Value": b64encode(key.der).decode(),
            "ValidityStartTime": _text(key.starts),
            "ValidityEndTime": _text(key.ends),
        }
        for key in keys.all()
    ]
    return json.dumps({"PublicKeyList": entries}, indent=1) + "\n"


def read_keys(path: Path) -> Iterable[PublicKey]:
    """Read a file of keys, as `--export-keys` wrote it.

    Raises:
        ConfigError: it is missing, or no such file; the entry and the field are named.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE_BYTES + 1)
        if len(raw) > LARGEST_FILE_BYTES:
            raise ValueError(f"it has more than {LARGEST_FILE_BYTES:,} bytes")  # noqa: TRY301
        return keys_of(json.loads(raw))
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise _unusable(path, why) from None


def keys_of(document: Any) -> list[PublicKey]:
    """Return the keys of a document. Raises ValueError, TypeError or KeyError if it is none."""
    return [_key(number, entry) for number, entry in enumerate(document["PublicKeyList"], 1)]


def public_key(region: str, entry: dict[str, Any]) -> PublicKey:
    """Return one key as boto3 gives it in the answer to ListPublicKeys."""
    starts, ends = entry["ValidityStartTime"], entry["ValidityEndTime"]
    return PublicKey(region, entry["Fingerprint"], entry["Value"], starts.timestamp(), ends.timestamp())


def listed_keys(client: Any, region: str, first: float, last: float) -> list[PublicKey]:
    """Ask a CloudTrail client for the keys that were valid within a span. Raises what boto3 raises."""
    start, end = datetime.fromtimestamp(max(first, 0.0), UTC), datetime.fromtimestamp(last, UTC)
    pages = client.get_paginator("list_public_keys").paginate(StartTime=start, EndTime=end)
    return [public_key(region, entry) for page in pages for entry in page["PublicKeyList"]]


class AskedKeys(Keys):
    """Keys that are asked for when one is missing, once for each region."""

    def __init__(self, keys: Iterable[PublicKey], ask: Callable[[str], Iterable[PublicKey]]) -> None:
        super().__init__(keys)
        self._ask = ask
        self._asked: set[str] = set()
        self.refused: list[str] = []
        """Sentences about keys of an answer that cannot be used."""

    def find(self, region: str, fingerprint: str) -> PublicKey | None:
        """Return a key, asking for those of its region if it is not known. Returns None if it stays unknown."""
        found = super().find(region, fingerprint)
        if found is None and region not in self._asked:
            self._asked.add(region)
            for key in self._ask(region):
                try:
                    self.add(key)
                except ValueError as error:
                    self.refused.append(str(error))
            found = super().find(region, fingerprint)
        return found


class KeyService:
    """Asks CloudTrail for its public keys, by the role if it may, else by the consumer: each account sees the same."""

    def __init__(
        self, job: Job, installation: Installation, consumer: ConsumerPrincipal, *, count: Callable[[str], None]
    ) -> None:
        self._job, self._installation = job, installation
        self._consumer = consumer
        self._count = count
        self.error = ""
        """The reason that there was no answer."""

    def ask(self, region: str, first: float, last: float) -> Sequence[PublicKey]:
        """Return the keys of a region that were valid within a span. Returns none if nobody may ask."""
        if not asks_aws(self._job):
            self.error = _NOT_ASKED
            return []
        failures = []
        for principal in (*self._role(), self._consumer):
            asked = f"ListPublicKeys in {region} by {principal.name}"
            try:
                self._count("ListPublicKeys")
                span = max(first, 1.0), last
                return keys_of_region(self._job, self._installation, principal, region, span)
            except (BotoCoreError, ClientError) as error:
                failures.append(f"{asked}: {error}")
            except (KeyError, TypeError, AttributeError) as error:
                failures.append(f"{asked}: it is no list of keys: {error!r}")
        self.error = "; ".join(failures)
        return []

    def _role(self) -> Iterator[Principal]:
        job, role = self._job, self._job.source.role
        if role is None:
            return
        identities, policies = self._installation.identities, session_policies(job)
        try:
            yield identities.role(job, role, self._consumer, policies=policies, count=self._count)
        except JobFailed as error:
            self.error = error.detail


def keys_of_region(
    job: Job, installation: Installation, principal: Principal, region: str, span: tuple[float, float]
) -> list[PublicKey]:
    """Ask CloudTrail, as this principal, for the public keys of a region that were valid within the span.

    Raises:
        BotoCoreError, ClientError: it does not answer, or refuses.
        KeyError, TypeError, AttributeError: its answer is no list of keys.
    """
    credentials = principal.current()
    client = installation.identities.session_of(job).create_client(
        "cloudtrail",
        region_name=region,
        endpoint_url=job.endpoints.cloudtrail,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        config=Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_CALL_SECONDS,
            retries={"mode": "standard", "max_attempts": 3},
        ),
    )
    return listed_keys(client, region, *span)


def asks_aws(job: Job) -> bool:
    """Return whether CloudTrail may be asked for public keys. Credentials of another server are not sent to AWS."""
    is_elsewhere = bool(os.environ.get("AWS_ENDPOINT_URL_CLOUDTRAIL") or os.environ.get("AWS_ENDPOINT_URL"))
    return job.endpoints.s3 is None or job.endpoints.cloudtrail is not None or is_elsewhere


def _key(number: int, entry: Any) -> PublicKey:
    if not isinstance(entry, dict):
        raise TypeError(f"entry {number} is not an object")
    for field in ("Region", "Fingerprint", "Value", "ValidityStartTime", "ValidityEndTime"):
        if not isinstance(entry.get(field), str):
            raise TypeError(f"entry {number} has no {field}, or it is not a text")
    try:
        der = b64decode(entry["Value"], validate=True)
    except NotBase64:
        raise ValueError(f"the Value of entry {number} is not base64") from None
    starts, ends = _instant(entry["ValidityStartTime"]), _instant(entry["ValidityEndTime"])
    key = PublicKey(entry["Region"], entry["Fingerprint"], der, starts, ends)
    Keys([key])
    return key


def _instant(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except OverflowError:
        raise ValueError(f"{text} is beyond all times") from None


def _text(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).isoformat()


def _unusable(path: Path, why: str) -> ConfigError:
    remedy = "give a file that `syncd verify --export-keys` wrote"
    return ConfigError([Problem(str(path), "", f"it cannot be used as public keys: {why}; {remedy}")])
