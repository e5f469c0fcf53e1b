"""Faults of credentials, roles and STS."""

import contextlib
from collections.abc import Callable, Iterator

from builders import profiles
from faulty import Call, Request, Stall, Status

from injection.answers import READS, answered
from injection.fault import LOOKING, STREAM, WRITING, Fault, Inject, Met
from injection.scene import HIT, Scene

_TAGS = "User: arn:aws:iam::444444444444:user/syncd is not authorized to perform: sts:TagSession on resource: {}"
_PACKED = "Packed policy consumes 112% of allotted space, please use smaller policy."
_HELPED = frozenset({"no_credentials", "credentials_unavailable", "credential_helper_failed", "credentials_failed"})
_EVERY = WRITING + LOOKING


def expiring(operation: str, number: int, *, in_parts: bool = False) -> Inject:
    """Every session that was issued ends while the server looks at such a request of this number."""

    @contextlib.contextmanager
    def inject(scene: Scene) -> Iterator[Met]:
        ended: list[int] = []
        if in_parts:
            scene.deliver_large()

        def end(request: Request) -> None:
            if len(ended) < 1 and scene.server.count(operation) >= number:
                ended.append(request.number)
                scene.server.identities.expire_sessions()

        fault = scene.server.faults.add(operation, Call(end))
        yield lambda: ended
        scene.server.faults.remove(fault)

    return inject


@contextlib.contextmanager
def _role_denied(scene: Scene) -> Iterator[Met]:
    scene.job({"source.role.external_id": "of-somebody-else"})
    yield lambda: scene.server.count("AssumeRole") or scene.server.count("GetCallerIdentity")
    scene.job()


def by_profile(lines: Callable[[Scene], str]) -> Inject:
    """The consumer's profile is in a file of its own and says how its credentials are had."""

    @contextlib.contextmanager
    def inject(scene: Scene) -> Iterator[Met]:
        path = scene.folder / "etc" / "helped"
        path.write_text(f"[profile {HIT}]\nregion = us-east-1\n{lines(scene)}\n")
        scene.environment["AWS_CONFIG_FILE"] = str(path)
        scene.job({"consumer.credentials_file": None})
        asked = scene.folder / "helper.asked"
        yield lambda: asked.exists() or "/no/such/helper" in path.read_text()
        scene.job()
        # A profile that works, for a daemon that goes on with this environment.
        path.write_text(profiles(scene.stage.world).replace("[", "[profile "))

    return inject


def _printing(text: str) -> Callable[[Scene], str]:
    def lines(scene: Scene) -> str:
        helper = scene.folder / "helper"
        helper.write_text(f'#!/bin/sh\ntouch "$0.asked"\n{text}\n')
        helper.chmod(0o755)
        return f"credential_process = {helper}"

    return lines


_BAD_DATE = """echo '{"Version":1,"AccessKeyId":"AKIA","SecretAccessKey":"s","SessionToken":"t","Expiration":"soon"}'"""


@contextlib.contextmanager
def _no_token_file(scene: Scene) -> Iterator[Met]:
    scene.environment |= {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(scene.folder / "no-such-token"),
        "AWS_ROLE_ARN": "arn:aws:iam::444444444444:role/Pod",
        "AWS_ENDPOINT_URL_STS": scene.server.url,
    }
    scene.job({"consumer.credentials_file": None, "consumer.profile": None})
    yield lambda: True
    scene.environment.clear()
    scene.job()


@contextlib.contextmanager
def _rotated(scene: Scene) -> Iterator[Met]:
    """The keys are revoked, and new ones lie where the old ones were."""
    path = scene.folder / "etc" / "rotated"
    right = profiles(scene.stage.world).replace("[", "[profile ")
    path.write_text(right.replace("AKIA", "AKIB"))
    scene.environment["AWS_CONFIG_FILE"] = str(path)
    scene.job({"consumer.credentials_file": None})
    yield lambda: scene.server.count("GetCallerIdentity") or scene.server.count("AssumeRole")
    # In place, and of the same size: the daemon has to ask anew.
    path.write_text(right)


def _told(*reasons: str) -> frozenset[str]:
    return frozenset(reasons)


_TAG_DENIED = Status(403, "AccessDenied", _TAGS.format("arn:aws:iam::111111111111:role/account-z"))
_EXPIRED = Status(400, "ExpiredToken", "The provided token has expired.")
IDENTITY = (
    Fault("the session ends in the middle of listings", expiring("ListObjectsV2", 4), _told("credentials_expired")),
    Fault(
        "the session ends in the middle of reads",
        expiring("GetObject", 5),
        _told("credentials_expired"),
        modes=STREAM,
    ),
    Fault(
        "the session ends between two parts",
        expiring("UploadPart", 1, in_parts=True),
        _told("credentials_expired"),
        modes=STREAM,
    ),
    Fault("the role is denied", _role_denied, _told("access_denied"), _EVERY, STREAM),
    Fault(
        "sts:TagSession is denied",
        answered(_TAG_DENIED, "AssumeRole"),
        _told("access_denied"),
        _EVERY,
        words=("sts:TagSession",),
    ),
    Fault(
        "STS is busy", answered(Status(503, "Throttling"), "AssumeRole", times=2), _told("slow_down", "server_error")
    ),
    Fault("STS stalls", answered(Stall(), "AssumeRole"), _told("timeout"), ("tick", "run"), STREAM),
    Fault(
        "the session policy is too large",
        answered(Status(400, "PackedPolicyTooLarge", _PACKED), "AssumeRole", times=1),
        _told("session_policy_too_large"),
        words=("session_policy",),
    ),
    Fault(
        "static keys meet ExpiredToken",
        answered(_EXPIRED, "PutObject", "CopyObject", times=3),
        _told("credentials_expired"),
    ),
    Fault(
        "reads meet ExpiredToken", answered(_EXPIRED, *READS, times=3), _told("credentials_expired"), ("tick", "run")
    ),
    Fault("a credential helper prints a sentence", by_profile(_printing("echo hello")), _HELPED, _EVERY, STREAM),
    Fault(
        "a credential helper is not there",
        by_profile(lambda _: "credential_process = /no/such/helper"),
        _HELPED,
        _EVERY,
    ),
    Fault("a credential helper fails", by_profile(_printing("echo no >&2; exit 7")), _HELPED, _EVERY, STREAM),
    Fault("a credential helper gives a bad date", by_profile(_printing(_BAD_DATE)), _HELPED, _EVERY, STREAM),
    Fault(
        "a credential helper hangs",
        by_profile(_printing("exec sleep 600")),
        _HELPED | {"timeout"},
        ("tick", "run"),
        STREAM,
    ),
    Fault("a web identity's token file is missing", _no_token_file, _HELPED, ("tick", "catch-up", *LOOKING), STREAM),
    Fault("keys were revoked, new ones lie in the same file", _rotated, _told("invalid_credentials"), _EVERY, STREAM),
)
