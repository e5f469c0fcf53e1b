"""`syncd check`: each permission tried for real, in the order a tick needs them."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from syncd.aws.endpoint import Endpoint, Principal
from syncd.aws.s3 import Side
from syncd.check import destination as check_destination
from syncd.check import identity as check_identity
from syncd.check import reach
from syncd.check import source as check_source
from syncd.check.identity import Actors
from syncd.check.public_keys import PUBLIC_KEYS, public_keys_check
from syncd.check.remedies import Remedies
from syncd.check.result import Check, JobChecks, Status, not_tried
from syncd.config.job import Configuration, Job
from syncd.config.partitions import is_aws
from syncd.job.installation import Installation, end_of
from syncd.ledger.folder.probe import require_usable
from syncd.model.errors import JobFailed, LedgerError
from syncd.model.reasons import filled_in

CONFIGURATION, STATE = "configuration", "state"
JOBS_AT_A_TIME = 8

STEPS = (
    CONFIGURATION,
    STATE,
    check_identity.CLOCK,
    check_identity.IDENTITY,
    check_identity.ASSUME_ROLE,
    check_identity.EXTERNAL_ID,
    check_source.BUCKET,
    check_source.REGION,
    check_source.LIST,
    check_source.FOLDERS,
    check_source.READ,
    check_source.KMS,
    PUBLIC_KEYS,
    check_destination.BUCKET,
    check_destination.REGION,
    check_destination.LIST,
    check_destination.WRITE,
    check_destination.READ,
    check_destination.OWNERSHIP,
    check_destination.OBJECT_LOCK,
    check_destination.VERSIONING,
    reach.COPY_MODES,
    reach.BUCKETS,
    reach.SURPLUS,
)


def check_jobs(configuration: Configuration, jobs: Sequence[Job], installation: Installation) -> list[JobChecks]:
    """Check the jobs in parallel."""
    files = dict(zip((job.name for job in configuration.jobs), configuration.files[1:], strict=True))
    if not jobs:
        return []
    state = state_check(configuration.settings.state_dir)
    with ThreadPoolExecutor(min(JOBS_AT_A_TIME, len(jobs)), thread_name_prefix="check") as pool:
        return list(pool.map(lambda job: check_job(job, files[job.name], installation, state), jobs))


def state_check(state_dir: Path) -> Check:
    """Check that the state can be written and locked."""
    try:
        require_usable(state_dir)
    except LedgerError as error:
        return Check(STATE, Status.FAILED, str(error), error.remedy)
    can = "files in it can be written and locked" if state_dir.is_dir() else "it does not exist, and can be created"
    return Check(STATE, Status.OK, f"{state_dir}: {can}")


def check_job(job: Job, file: Path, installation: Installation, state: Check) -> JobChecks:
    """Check one job. A step that an earlier failure makes pointless is reported as not tried."""
    checks = [Check(CONFIGURATION, Status.OK, f"{file} is valid"), state]
    clock = check_identity.clock_check(job, installation)
    checks.append(clock)
    if clock.status is Status.FAILED:
        return _ended(job, checks, clock.name)
    requests: Counter[str] = Counter()
    identity, consumer = check_identity.identity_check(job, installation, requests)
    checks.append(identity)
    if consumer is None:
        return _ended(job, checks, identity.name)
    remedies = Remedies(job, consumer.name if consumer.name.startswith("arn:") else None)
    found, actors = check_identity.role_checks(job, consumer, installation, remedies, requests)
    checks += found
    try:
        checks += _bucket_checks(job, consumer, actors, installation, remedies)
    except JobFailed as error:
        checks.append(Check(check_identity.ASSUME_ROLE, Status.FAILED, error.detail, error.remedy))
    return _of(job, checks)


def _bucket_checks(
    job: Job, consumer: Principal, actors: Actors | None, installation: Installation, remedies: Remedies
) -> list[Check]:
    destination = end_of(job, Side.DESTINATION, consumer, installation, Counter())
    if actors is None:
        own, _ = check_destination.destination_checks(job, destination, remedies)
        why = f"see {check_identity.ASSUME_ROLE}"
        pointless = [step for step in STEPS if step.startswith("source-") or step in _OF_THE_ROLE]
        return [*(not_tried(step, why) for step in pointless), *own]
    source = end_of(job, Side.SOURCE, actors.reader, installation, Counter())
    at_source = check_source.source_checks(job, source, remedies, now=installation.now())
    own, keeps_nothing = check_destination.destination_checks(job, destination, remedies)
    newest = at_source.newest.key if at_source.newest is not None and at_source.is_readable else None
    modes = reach.copy_modes_check(job, actors, source, destination, newest, remedies)
    keys = public_keys_check(job, actors.reader, installation, remedies)
    checks = [*at_source.checks, keys, *own, modes]
    if actors.wide is None or at_source.checks[0].status is Status.FAILED:
        return [*checks, not_tried(reach.BUCKETS, "see above"), not_tried(reach.SURPLUS, "see above")]
    wide = source._replace(principal=actors.wide)
    # A server that accepts a body that does not match its digest would keep a probe at the source too.
    is_safe = _is_aws(source) or (keeps_nothing and _server(source) == _server(destination))
    return checks + reach.reach_checks(job, wide, remedies, refuses_wrong_digests=is_safe)


_OF_THE_ROLE = (
    check_source.LIST,
    check_source.FOLDERS,
    check_source.READ,
    check_source.KMS,
    PUBLIC_KEYS,
    reach.COPY_MODES,
    reach.SURPLUS,
)


def _is_aws(end: Endpoint) -> bool:
    return is_aws(end.address.host)


def _server(end: Endpoint) -> str:
    """Return the host without the bucket that may precede it."""
    return end.address.host.removeprefix(f"{end.bucket}.")


def _ended(job: Job, checks: Sequence[Check], cause: str) -> JobChecks:
    done = [check.name for check in checks]
    return _of(job, [*checks, *(not_tried(step, f"see {cause}") for step in STEPS if step not in done)])


def _of(job: Job, checks: Sequence[Check]) -> JobChecks:
    """Return the checks of a job, whose remedies name it."""
    return JobChecks(job.name, [check._replace(remedy=filled_in(check.remedy, job=job.name)) for check in checks])
