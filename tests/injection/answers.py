"""Faults of S3's answers and of what happens to objects meanwhile."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

from builders import ACCOUNTS, REGIONS, Trail
from faulty import (
    Body,
    Call,
    CorruptBody,
    DropConnection,
    ErrorIn200,
    Request,
    ShortBody,
    Slow,
    Status,
    WithoutHeaders,
    on,
)
from faulty.faults import Action, Predicate

from injection.fault import LOOKING, SERVER_SIDE, STREAM, WRITING, Fault, Inject, Met
from injection.scene import HIT, Scene

READS, WRITES = ("GetObject", "CopyObject"), ("PutObject", "CopyObject")
_EMPTY = b"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"
_NO_TOKEN = b"<ListBucketResult><IsTruncated>true</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"
_KMS = "User: arn:aws:iam::444444444444:user/syncd is not authorized to perform: kms:{} on the resource"


def answered(action: Action, *operations: str, times: int | None = None) -> Inject:
    """Requests of these operations are answered so, for ever or so many times."""

    @contextlib.contextmanager
    def inject(scene: Scene) -> Iterator[Met]:
        fault = scene.server.faults.add(lambda request: request.operation in operations, action, times=times)
        yield lambda: fault.hits
        scene.server.faults.remove(fault)

    return inject


def wanting(is_right: Callable[[Request], bool], refusal: Status) -> Inject:
    """Writes are refused unless they are as the server wants them."""

    @contextlib.contextmanager
    def inject(scene: Scene) -> Iterator[Met]:
        def is_meant(request: Request) -> bool:
            return request.operation in ("PutObject", "CreateMultipartUpload") and not is_right(request)

        fault = scene.server.faults.add(is_meant, refusal)
        yield lambda: fault.hits
        scene.server.faults.remove(fault)

    return inject


def listing(action: Action, *, after: int) -> Inject:
    """The source's listings are answered so, from the one of this number on."""

    @contextlib.contextmanager
    def inject(scene: Scene) -> Iterator[Met]:
        seen: list[int] = []

        def is_meant(request: Request) -> bool:
            if request.operation != "ListObjectsV2" or request.bucket != scene.stage.world.bucket:
                return False
            seen.append(request.number)
            return len(seen) > after

        fault = scene.server.faults.add(is_meant, action)
        yield lambda: fault.hits
        scene.server.faults.remove(fault)

    return inject


def meanwhile(happens: Callable[[Scene, str], object], heal: Callable[[Scene, str], object] | None = None) -> Inject:
    """Something happens to a few objects just before they are read."""

    @contextlib.contextmanager
    def inject(scene: Scene) -> Iterator[Met]:
        keys = scene.keys[::20]
        hooks = [
            scene.server.faults.add(_read_of(key), Call(lambda request: happens(scene, request.key)), times=1)
            for key in keys
        ]
        yield lambda: all(hook.hits for hook in hooks)
        for key, hook in zip(keys, hooks, strict=True):
            scene.server.faults.remove(hook)
            if heal is not None:
                heal(scene, key)

    return inject


def _read_of(key: str) -> Predicate:
    return lambda request: request.operation in READS and request.key == key


def _gone(scene: Scene, key: str) -> None:
    scene.server.delete(scene.stage.world.bucket, key)


def _rewritten(scene: Scene, key: str) -> None:
    scene.server.put(scene.stage.world.bucket, key, b"something else", last_modified=scene.began)


def _class(storage_class: str) -> Callable[[Scene, str], object]:
    def put(scene: Scene, key: str) -> None:
        item = scene.server.get(scene.stage.world.bucket, key)
        scene.server.put(
            scene.stage.world.bucket,
            key,
            item.body,
            last_modified=item.last_modified,
            metadata=item.metadata,
            content_encoding=item.content_encoding,
            storage_class=storage_class,
        )

    return put


def _restored(scene: Scene, key: str) -> None:
    _class("STANDARD")(scene, key)
    # Refused where a daemon has copied it since.
    scene.command("ledger", "quarantine", "retry", key)


def _written_by_another(scene: Scene, key: str) -> None:
    """What the same object is, so that it must be recognised and not written again."""
    replica = scene.stage.watched(HIT)
    with scene.server.storage.lock:
        replica.put(key, replace(scene.server.get(scene.stage.world.bucket, key)))


@contextlib.contextmanager
def _in_parts(scene: Scene) -> Iterator[Met]:
    """A part of a large object is refused, then its completion is not answered."""
    scene.deliver_large()
    part = scene.server.faults.add("UploadPart", Status(500, "InternalError"), times=2)
    lost = scene.server.faults.add("CompleteMultipartUpload", DropConnection(is_applied=True), times=1)
    yield lambda: part.hits and lost.hits
    scene.server.faults.clear()


@contextlib.contextmanager
def _late(scene: Scene) -> Iterator[Met]:
    """Logs arrive behind the ones that were copied: of the same slot, of the same second, and of the day before."""
    with scene.start("tick") as before:
        before.code()
    stamp = scene.began - timedelta(minutes=35)
    trail = Trail(seed=8)
    scene.keys += scene.stage.deliver(
        trail.log(ACCOUNTS[0], REGIONS[0], stamp, number, late=timedelta(minutes=35)) for number in range(3)
    )
    yield lambda: True


@contextlib.contextmanager
def _emptied(scene: Scene) -> Iterator[Met]:
    """After a tick that copied all, the source lists nothing."""
    with scene.start("tick") as before:
        before.code()
    is_meant = on("ListObjectsV2", bucket=scene.stage.world.bucket)
    fault = scene.server.faults.add(is_meant, Body(_EMPTY))
    yield lambda: fault.hits
    scene.server.faults.remove(fault)


def _told(*reasons: str) -> frozenset[str]:
    return frozenset(reasons)


_DENIED = Status(403, "AccessDenied", "Access Denied")
_BUSY = _told("slow_down", "server_error")
ANSWERS = (
    Fault("503 SlowDown, a burst", answered(Status(503, "SlowDown"), *READS, times=12), _BUSY),
    Fault("503 SlowDown for ever", answered(Status(503, "SlowDown"), *READS), _BUSY, ("tick", "run")),
    Fault("429 without a word of S3", answered(Status(429, "TooManyRequests"), *READS, times=12), _BUSY),
    Fault("500 InternalError, a burst", answered(Status(500, "InternalError"), *WRITES, times=12), _BUSY),
    Fault("listings are slow", answered(Slow(0.3), "ListObjectsV2", times=20), verbs=WRITING + LOOKING),
    Fault("a listing is refused in its middle", listing(_DENIED, after=3), _told("access_denied"), WRITING + LOOKING),
    Fault(
        "a listing is cut in its middle",
        listing(ShortBody(200), after=3),
        _told("connection_failed", "unexpected_answer", "timeout"),
    ),
    Fault("a listing goes on without a token", listing(Body(_NO_TOKEN), after=3), _told("unexpected_answer")),
    Fault("the source lists nothing any more", _emptied, _told("source_empty"), WRITING),
    Fault("logs arrive late", _late),
    Fault("objects go before they are read", meanwhile(_gone), _told("object_gone")),
    Fault("objects are rewritten before they are read", meanwhile(_rewritten), _told("object_changed")),
    Fault("objects are archived", meanwhile(_class("GLACIER"), _restored), _told("archived")),
    Fault("another writes the same object first", meanwhile(_written_by_another)),
    Fault("reads are denied", answered(_DENIED, *READS), _told("access_denied")),
    Fault("a write is denied", answered(_DENIED, *WRITES, times=5), _told("access_denied"), words=("AccessDenied",)),
    Fault(
        "KMS denies reading",
        answered(Status(403, "AccessDenied", _KMS.format("Decrypt")), *READS, times=5),
        _told("kms_access_denied"),
    ),
    Fault(
        "KMS denies writing",
        answered(Status(403, "AccessDenied", _KMS.format("GenerateDataKey")), *WRITES, times=5),
        _told("kms_access_denied"),
    ),
    Fault(
        "a KMS key is pending deletion",
        answered(
            Status(400, "KMS.KMSInvalidStateException", "arn:aws:kms:us-east-1:1:key/a is pending deletion."),
            *READS,
            times=5,
        ),
        _told("kms_access_denied", "kms_key_unusable", "kms_key_pending_deletion"),
        words=("pending deletion",),
    ),
    Fault(
        "a body is short",
        answered(ShortBody(7), "GetObject", times=9),
        _told("short_body", "connection_failed"),
        modes=STREAM,
    ),
    Fault(
        "a body is not what its checksum says",
        answered(CorruptBody(), "GetObject", times=9),
        _told("checksum_mismatch"),
        modes=STREAM,
    ),
    Fault("answers without checksums", answered(WithoutHeaders(), "GetObject", "HeadObject"), modes=STREAM),
    Fault(
        "answers without ETags",
        answered(WithoutHeaders("etag"), *WRITES, times=9),
        _told("unexpected_answer", "checksum_mismatch"),
    ),
    Fault("a write is done and not answered", answered(DropConnection(is_applied=True), *WRITES, times=12)),
    Fault(
        "a write is done and answered with 500",
        answered(Status(500, "InternalError", is_applied=True), *WRITES, times=12),
    ),
    Fault(
        "an error within a 200",
        answered(ErrorIn200(), "CopyObject", times=12),
        _told("server_error"),
        modes=SERVER_SIDE,
    ),
    Fault("a part fails, a completion is not answered", _in_parts, _told("server_error"), modes=STREAM),
    Fault(
        "payloads must be signed",
        wanting(
            lambda request: request.headers.get("x-amz-content-sha256") != "UNSIGNED-PAYLOAD",
            Status(400, "InvalidDigest", "x-amz-content-sha256 must be signed"),
        ),
        _told("checksum_mismatch", "unsupported", "payload_not_signed"),
        (*WRITING, "check"),
        STREAM,
        words=("endpoints.payload",),
        named_by=("check",),
    ),
    Fault(
        "the bucket demands an encryption header",
        wanting(
            lambda request: request.headers.get("x-amz-server-side-encryption") == "AES256",
            Status(403, "AccessDenied", "Access Denied with an explicit deny in a resource-based policy"),
        ),
        _told("access_denied"),
        ("tick", "check"),
        STREAM,
        words=("destination.encryption",),
        named_by=("check",),
    ),
)
