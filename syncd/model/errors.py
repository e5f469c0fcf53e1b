"""The errors of syncd. They carry facts, and sentences for people are made at the edge.

SyncdError
├── ConfigError(problems)      the whole run    exit 2: every problem, with its file and dotted key
├── LedgerError                the tick or run  the state cannot be used
│   ├── LedgerNewer            written by a newer syncd: refused, nothing touched
│   ├── LedgerFull             the disk is full: the tick fails, and a later one continues when there is room
│   ├── LedgerCorrupt          moved aside and rebuilt
│   ├── LedgerStarved          this process or machine has no descriptors or memory left for it
│   ├── LedgerRefused          a value of this job that the state cannot hold, which is no damage
│   └── LedgerUnwritable       the state cannot be written for another reason: exit 5 in `run`
│       ├── LedgerExposed      others can replace its files: refused, nothing touched
│       ├── LedgerUnreadable   this user may not read it
│       └── LedgerUnlockable   its file system has no locks: refused
├── AlreadyRunning(holder)     the job          exit 11: another process has its lock
└── JobFailed(reason, …)       the job          this job's tick ends, and the next one tries again
    ├── Interrupted            the job          it was told to stop, which is no failure
    └── ListingBudgetSpent     the job          listing took too long: objects found so far are used
"""

from collections.abc import Sequence
from typing import NamedTuple

from syncd.model import reasons
from syncd.model.reasons import Reason


class Problem(NamedTuple):
    """One thing wrong in a configuration file."""

    file: str
    key: str
    """A dotted key such as `source.role.external_id`, or empty for the whole file."""
    message: str
    """The mistake, and what would be correct."""

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.message}" if self.key else f"{self.file}: {self.message}"


class SyncdError(Exception):
    """The base of all errors that syncd raises on purpose."""


class ConfigError(SyncdError):
    """A configuration that cannot be used. `problems` lists all of its mistakes."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class LedgerError(SyncdError):
    """A state file that cannot be used."""

    reason = "ledger"
    remedy = "check the state directory"


class LedgerNewer(LedgerError):
    """A state file that a newer syncd wrote."""

    reason = Reason.LEDGER_NEWER
    remedy = reasons.REMEDIES[reason]


class LedgerFull(LedgerError):
    """A disk without room for the state file."""

    reason = Reason.DISK_FULL
    remedy = reasons.REMEDIES[reason]


class LedgerCorrupt(LedgerError):
    """A damaged state file."""

    reason = Reason.LEDGER_CORRUPT
    remedy = reasons.REMEDIES[reason]


class LedgerRefused(LedgerError):
    """A value from the source that the state file cannot hold, such as an overlong key."""

    reason = Reason.UNEXPECTED
    remedy = reasons.REMEDIES[reason]


class LedgerUnwritable(LedgerError):
    """A state file or directory that cannot be written."""

    reason = Reason.LEDGER_UNWRITABLE
    remedy = reasons.REMEDIES[reason]


class LedgerExposed(LedgerUnwritable):
    """A state file or directory that others can replace."""

    remedy = (
        "make state_dir and the folders above it belong to the user that runs syncd, or to root, and let nobody else write to"
        " them (`chmod go-w`); replace links in state_dir by regular files; run syncd as that user: `runuser -u syncd -- syncd ...`"
    )


class LedgerUnreadable(LedgerUnwritable):
    """A state that this user may not read."""

    remedy = (
        "run it as root, or as the user that runs syncd, to whom state_dir belongs: `sudo -u syncd syncd ...`; if that user is"
        " refused too, give it the directory and its files (`chown -R`)"
    )


class LedgerUnlockable(LedgerUnwritable):
    """A state file on a file system that grants no locks."""

    remedy = (
        "put state_dir on a local disk, or on a file system with locks: on NFS neither `nolock` nor `local_lock`, and for"
        " version 3 the lock services running at both ends; a lock service that is down may come back"
    )


class LedgerStarved(LedgerError):
    """A state file that cannot be used for lack of descriptors or memory."""

    reason = Reason.RESOURCE_LIMIT
    remedy = reasons.REMEDIES[reason]


class AlreadyRunning(SyncdError):
    """A job whose lock another process holds.

    `holder` names it by process ID, host and time, if the lock file has them.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class JobFailed(SyncdError):
    """A failure that ends this job's tick.

    `reason` is a short word for machines (`access_denied`), `detail` names the call, the principal and the
    resource, and `remedy` is the operator's next step.
    """

    def __init__(self, reason: str, detail: str, remedy: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.remedy = remedy or reasons.remedy_of(reason, detail=detail)


class Interrupted(JobFailed):
    """A request to stop this job, which leaves the rest to the next tick."""

    def __init__(self) -> None:
        super().__init__(
            "interrupted", "told to stop before all was done", "run it again: it continues where this one ended"
        )


class ListingBudgetSpent(JobFailed):
    """A listing that used up its time. Everything found so far is valid, and the rest is not listed."""
