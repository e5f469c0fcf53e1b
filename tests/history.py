"""A trail of any size, copied already, behind an S3 and STS in a process of their own that count what they are asked.

    with serving(History(young=1_000_000)) as server:
        …
        asked = server.at(now)                 # by kind, since the last call; `now` is its clock from here on

Source and destination hold the same keys. Requests, identities and the order of a listing are FaultyS3's own; only the
rows of a page are written differently, so that a page of 1,000 of a million keys takes milliseconds. ListObjectsV2,
AssumeRole and GetCallerIdentity are answered; whatever else comes is refused, and counted too.
"""

import json
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from math import ceil
from time import monotonic
from typing import Any

from faulty.answer import Answer, S3Error, StsError, elements, s3_document
from faulty.request import Request, make_request
from faulty.storage import Storage
from faulty.store import Bucket, continuation_token, continued_after
from faulty.sts import Identities, Role
from faulty.wire import HttpServer

from syncd.cli.demo.world import ACCOUNT_A, ACCOUNT_Z, EXTERNAL_ID, REGION

REGIONS = ("ap-southeast-2", "eu-west-1", "sa-east-1", "us-east-1", "us-gov-west-1")
SOURCE, DESTINATION = "trail", "replica"
ROLE = f"arn:aws:iam::{ACCOUNT_A}:role/reader"
BEGIN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()
MINUTE, HOUR, DAY = 60, 3600, 86400
DEEP_DAYS = 33
OLDER_DAYS = 180
PAGE_KEYS = 1000
TAIL, RECENT, DEEP, DISCOVERY, AT_DESTINATION = "tail", "recent", "deep", "discovery", "destination"
LISTS = (TAIL, RECENT, DEEP, DISCOVERY, AT_DESTINATION)
"""The kinds of ListObjectsV2; everything else is counted by its operation."""

_POSITION = re.compile(r"/(\d{4})/(\d\d)/(\d\d)(?:0$|/.*_\d{8}T(\d\d)(\d\d))")


@dataclass(frozen=True)
class History:
    """So many objects, spread evenly over the shards, and over the time until minutes before `BEGIN`."""

    young: int
    """Objects that the deep tier covers."""
    older: int = 0
    """Objects of the half year before those."""
    accounts: int = 8

    @property
    def objects(self) -> int:
        """All of them."""
        return self.young + self.older

    @property
    def shards(self) -> list[tuple[str, str]]:
        """Account and region of each, in key order."""
        return [(f"{111111111112 + number}", region) for number in range(self.accounts) for region in REGIONS]

    @property
    def first_young(self) -> int:
        """The midnight at which the deep tier's first day folder begins."""
        return int(BEGIN - DEEP_DAYS * DAY) // DAY * DAY

    @property
    def newest(self) -> int:
        """The last stamp of every shard."""
        return int(BEGIN) - 4 * MINUTE

    def stamps(self, shard: int) -> Iterator[int]:
        """The stamps of the shard of that number, in order."""
        older, young = (self._share(total, shard) for total in (self.older, self.young))
        begin, span = self.first_young - OLDER_DAYS * DAY, self.newest - self.first_young
        before = (begin + OLDER_DAYS * DAY * number // older for number in range(older))
        return chain(before, (self.newest - span * number // young for number in reversed(range(young))))

    def keys(self) -> Iterator[bytes]:
        """All keys, in S3's order."""
        number = 0
        for shard, (account, region) in enumerate(self.shards):
            for stamp in self.stamps(shard):
                at = datetime.fromtimestamp(stamp, UTC)
                name = f"{account}_CloudTrail_{region}_{at:%Y%m%dT%H%M}Z_{number:016}.json.gz"
                yield f"AWSLogs/{account}/CloudTrail/{region}/{at:%Y/%m/%d}/{name}".encode()
                number += 1

    def pages(self, since: float, until: float) -> int:
        """How many LISTs of 1,000 keys hold those with a stamp in this span, shard by shard."""
        totals = (sum(since <= stamp <= until for stamp in self.stamps(shard)) for shard in range(len(self.shards)))
        return sum(ceil(total / PAGE_KEYS) for total in totals)

    def _share(self, total: int, shard: int) -> int:
        shards = len(self.shards)
        return total // shards + (shard < total % shards)


class HistoryServer:
    """The server, as the process that asked for it sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url, self.access_key_id, self.secret_access_key = self._read()

    def at(self, now: float) -> Counter[str]:
        """Sets its clock; what it was asked since the last call, by kind."""
        assert self._process.stdin is not None
        print(now, file=self._process.stdin, flush=True)
        return Counter(self._read())

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@contextmanager
def serving(history: History) -> Iterator[HistoryServer]:
    """The server of this history; it ends when its standard input does, so at the latest with this process."""
    command = [sys.executable, __file__, json.dumps(asdict(history))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield HistoryServer(process)


class Answering:
    """What answers and counts, in the server's own process."""

    def __init__(self, history: History) -> None:
        self.now = BEGIN
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._newest = history.newest
        self.identities = Identities(self._clock)
        self.identities.roles[ROLE] = Role(ROLE, frozenset({ACCOUNT_Z}), EXTERNAL_ID, 3600)
        self._storage = Storage(self._clock)
        order = list(history.keys())
        for name, account in ((SOURCE, ACCOUNT_A), (DESTINATION, ACCOUNT_Z)):
            self._storage.buckets[name] = bucket = Bucket(name, account, REGION)
            bucket._order = order

    def __call__(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        request = make_request(0, method, target, headers, body, at=monotonic())
        kind, after = self._told(request)
        with self._lock:
            self._asked[kind] += 1
        try:
            return self._answer(request, kind, after)
        except (S3Error, StsError) as error:
            return error.answer()

    def asked(self) -> Counter[str]:
        """What was asked since the last call."""
        with self._lock:
            asked, self._asked = self._asked, Counter()
            return asked

    def _clock(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def _answer(self, request: Request, kind: str, after: str) -> Answer:
        if not request.bucket and request.form:
            return self.identities.answer(request)
        bucket = self._storage.bucket(request, self.identities.of_s3(request))
        if request.operation != "ListObjectsV2":
            raise S3Error(501, "NotImplemented", f"{request.operation} is not implemented here")
        return _listed(bucket, request.query, kind, after)

    def _told(self, request: Request) -> tuple[str, str]:
        """Of which kind a request is; of a LIST, also the key after which it begins or goes on."""
        if request.operation != "ListObjectsV2":
            return request.operation, ""
        token, start_after = request.query.get("continuation-token"), request.query.get("start-after", "")
        if token is not None:
            kind, _, after = continued_after(token).partition(" ")
            return kind, after
        if request.bucket == DESTINATION:
            return AT_DESTINATION, start_after
        return DISCOVERY if "delimiter" in request.query else _tier(start_after, self._newest), start_after


def _tier(start_after: str, newest: float) -> str:
    """Why a shard is listed, told by how far back from its newest key the listing begins."""
    found = _POSITION.search(start_after)
    # Only the deep tier begins behind a key that it has met.
    if found is None or start_after.endswith(".gz"):
        return DEEP
    year, month, day, hour, minute = (int(part or 0) for part in found.groups())
    back = newest - datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()
    if found[4] is None:
        return RECENT if back <= 4 * DAY else DEEP
    return TAIL if back <= 2 * HOUR else DEEP


def _listed(bucket: Bucket, query: Mapping[str, str], kind: str, after: str) -> Answer:
    limit = min(int(query.get("max-keys", PAGE_KEYS)), PAGE_KEYS)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    page = bucket.page(prefix=prefix, after=after, delimiter=delimiter, limit=limit)
    # Neither `encoding-type=url` nor XML would change anything in these keys.
    rows = "".join(_row(key) for key in page.keys)
    prefixes = "".join(f"<CommonPrefixes><Prefix>{common}</Prefix></CommonPrefixes>" for common in page.prefixes)
    head = elements(
        Name=bucket.name,
        Prefix=prefix,
        Delimiter=delimiter or None,
        MaxKeys=limit,
        KeyCount=len(page.keys) + len(page.prefixes),
        EncodingType=query.get("encoding-type"),
        StartAfter=query.get("start-after"),
        ContinuationToken=query.get("continuation-token"),
        IsTruncated="true" if page.is_truncated else "false",
        # The token carries the kind, so that each page of a listing is counted where its first was.
        NextContinuationToken=continuation_token(f"{kind} {page.last}") if page.is_truncated else None,
    )
    return s3_document("ListBucketResult", head + rows + prefixes)


def _row(key: str) -> str:
    _, stamp, number = key.removesuffix(".json.gz").rsplit("_", 2)
    arrived = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:11]}:{stamp[11:13]}:59.000Z"
    return (
        f"<Contents><Key>{key}</Key><LastModified>{arrived}</LastModified>"
        f"<ETag>&quot;{number}{number}&quot;</ETag><Size>{300 + int(number) % 5000}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def _serve(history: History) -> None:
    answering = Answering(history)
    user = answering.identities.add_user(ACCOUNT_Z, "syncd")
    http = HttpServer(answering)
    try:
        print(json.dumps([f"http://127.0.0.1:{http.port}", user.access_key_id, user.secret_access_key]), flush=True)
        for line in sys.stdin:
            answering.now = float(line)
            print(json.dumps(answering.asked()), flush=True)
    finally:
        http.close()


if __name__ == "__main__":
    _serve(History(**json.loads(sys.argv[1])))
