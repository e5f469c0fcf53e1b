"""The identity steps of `check`: clock, credentials, role and external ID."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from syncd.aws import answers
from syncd.aws.endpoint import Principal
from syncd.aws.identity import refusals
from syncd.aws.identity.principals import ConsumerPrincipal
from syncd.aws.identity.role import assume_parameters, credentials_in
from syncd.aws.policies.session import session_policies
from syncd.aws.s3 import Side
from syncd.check.probe import FixedPrincipal, ask, bucket_request
from syncd.check.remedies import Remedies
from syncd.check.result import Check, Status, not_tried
from syncd.config.job import Job, Role
from syncd.job.installation import Installation, end_of
from syncd.model import reasons
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

CLOCK, IDENTITY, ASSUME_ROLE, EXTERNAL_ID = "clock", "identity", "assume-role", "external-id"
# S3 rejects signatures that are 15 minutes off, other services 5 minutes (SigV4, "Handling dates").
_SKEW_REFUSED_SECONDS = 300.0
_SKEW_NOTICED_SECONDS = 30.0
_PROBE_SESSION_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Actors:
    """The principals that sign a check's requests."""

    consumer: Principal
    reader: Principal
    """The role's session as a tick uses it, or the consumer itself."""
    wide: Principal | None
    """The role without a session policy, used only to find surplus permissions."""


def clock_check(job: Job, installation: Installation) -> Check:
    """Compare this machine's clock with the Date header of any answer, even a refusal."""
    identities = installation.identities
    try:
        principal = identities.looked_up(job)
    except JobFailed as error:
        if error.reason == Reason.CLOCK_SKEWED:
            return Check(CLOCK, Status.FAILED, error.detail, error.remedy)
        return not_tried(CLOCK, f"there are no credentials to sign with ({error.detail})")
    end = end_of(job, Side.DESTINATION, principal, installation, Counter())
    before = installation.now()
    answer = ask(end, bucket_request("HeadBucket", "HEAD", Side.DESTINATION, ""))
    after = installation.now()
    date = answer.headers.get("date")
    if date is None:
        happened = "answered without a Date" if answer.status else "did not answer"
        said = answers.said("HeadBucket", answer.code, answer.message)
        return not_tried(CLOCK, f"{end.address.host} {happened}{f' ({said})' if said else ''}")
    theirs = parsedate_to_datetime(date).timestamp()
    # The Date is truncated to the second, and was set between sending and receiving.
    skew = max(before - (theirs + 1), theirs - after, 0.0)
    here = datetime.fromtimestamp(before, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    detail = f"this machine's clock says {here}, {skew:.0f} s away from that of {end.address.host}"
    remedy = reasons.remedy_of(Reason.CLOCK_SKEWED)
    if skew >= _SKEW_REFUSED_SECONDS:
        return Check(CLOCK, Status.FAILED, f"{detail}; AWS rejects requests signed this far off", remedy)
    if skew >= _SKEW_NOTICED_SECONDS:
        return Check(CLOCK, Status.WARNING, detail, remedy)
    return Check(CLOCK, Status.OK, detail)


def identity_check(job: Job, installation: Installation, requests: Counter[str]) -> tuple[Check, Principal | None]:
    """Check that the consumer's credentials exist, are valid, not root's, and of the right account."""
    try:
        consumer = installation.identities.consumer(job, count=lambda operation: requests.update([operation]))
    except JobFailed as error:
        return Check(IDENTITY, Status.FAILED, error.detail, _identity_remedy(job, error)), None
    return Check(IDENTITY, Status.OK, f"the consumer is {consumer.name}"), consumer


def role_checks(
    job: Job, consumer: Principal, installation: Installation, remedies: Remedies, requests: Counter[str]
) -> tuple[list[Check], Actors | None]:
    """Assume the role as a tick does, then without external ID, then without session policy."""
    role = job.source.role
    if role is None:
        detail = f"no role: {consumer.name} reads the source itself"
        return [Check(ASSUME_ROLE, Status.INFORMATION, detail)], Actors(consumer, consumer, consumer)
    assert isinstance(consumer, ConsumerPrincipal)
    identities = installation.identities
    shorter: list[str] = []
    try:
        reader = identities.role(
            job,
            role,
            consumer,
            policies=session_policies(job),
            count=lambda operation: requests.update([operation]),
            on_shorter=lambda policy, _: shorter.append(policy),
        )
    except JobFailed as error:
        return [Check(ASSUME_ROLE, Status.FAILED, error.detail, _assume_remedy(error, remedies, role))], None
    detail = f"AssumeRole by {consumer.name} of {role.arn}, as session {role.session_name}"
    if shorter:
        detail += (
            f", with {'a shorter' if shorter[-1] else 'no'} session policy, since STS found the exact one too large"
        )
    checks = [Check(ASSUME_ROLE, Status.OK, detail)]
    if role.external_id is not None:
        checks.append(_external_id_check(job, role, consumer, installation, remedies, requests))
    wide = _assumed(job, role, consumer, installation, requests, with_external_id=True)
    return checks, Actors(consumer, reader, wide if isinstance(wide, FixedPrincipal) else None)


def _external_id_check(
    job: Job,
    role: Role,
    consumer: Principal,
    installation: Installation,
    remedies: Remedies,
    requests: Counter[str],
) -> Check:
    """Check that the role is refused without the external ID."""
    without = _assumed(job, role, consumer, installation, requests, with_external_id=False)
    if isinstance(without, JobFailed):
        if without.reason != Reason.ACCESS_DENIED:
            return not_tried(EXTERNAL_ID, without.detail)
        return Check(EXTERNAL_ID, Status.OK, f"{role.arn} is refused to {consumer.name} without the external ID")
    return Check(
        EXTERNAL_ID,
        Status.WARNING,
        f"AssumeRole by {consumer.name} of {role.arn} without an external ID: allowed, so the ID protects nobody",
        remedies.trusting(),
    )


def _assumed(
    job: Job,
    role: Role,
    consumer: Principal,
    installation: Installation,
    requests: Counter[str],
    *,
    with_external_id: bool,
) -> FixedPrincipal | JobFailed:
    """Assume the role without a session policy. Returns the failure if it is refused."""
    requests["AssumeRole"] += 1
    hidden = (role.external_id, consumer.current().session_token)
    sts = installation.identities.sts(job, consumer.current())
    try:
        with refusals.as_job_failure(f"AssumeRole by {consumer.name} of {role.arn}", denied="", hidden=hidden):
            session = credentials_in(
                sts.assume_role(
                    **assume_parameters(role, with_external_id=with_external_id), DurationSeconds=_PROBE_SESSION_SECONDS
                )["Credentials"]
            )
    except JobFailed as error:
        return error
    return FixedPrincipal(f"{role.arn} (without session policy)", session)


def _assume_remedy(error: JobFailed, remedies: Remedies, role: Role) -> str:
    _, message = refusals.answered(error.__cause__)
    if error.reason == Reason.ACCESS_DENIED:
        return remedies.assuming(message)
    if error.reason == Reason.SESSION_TOO_LONG and "chaining" not in message:
        name = role.arn.rpartition("/")[2]
        return (
            f"lower source.role.duration, or in account {role.account_id} raise the role's maximum: aws iam update-role"
            f" --role-name {name} --max-session-duration {int(role.duration.total_seconds())}"
        )
    return error.remedy


def _identity_remedy(job: Job, error: JobFailed) -> str:
    if error.reason == Reason.ROOT_CALLER:
        return f"{error.remedy}; make one in account {job.consumer.account_id}: aws iam create-user --user-name syncd"
    return error.remedy
