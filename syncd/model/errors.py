"""The errors of syncd: they carry facts; the sentences for people are made at the edge.

SyncdError
├── ConfigError(problems)      the whole run    exit 2: every problem, with its file and dotted key
├── LedgerError                the tick or run  the state cannot be used
│   ├── LedgerNewer            written by a newer syncd: refused, nothing touched
│   ├── LedgerFull             no room on the disk: the tick fails and goes on when there is room
│   ├── LedgerCorrupt          moved aside and rebuilt
│   ├── LedgerRefused          a value that the state cannot hold: this job's, and no damage
│   └── LedgerUnwritable       the state cannot be written for another reason: exit 5 in `run`
│       └── LedgerExposed      others can replace its files: refused, nothing touched
├── AlreadyRunning(holder)     the job          exit 11: another process has its lock
└── JobFailed(reason, …)       the job          this job's tick ends; the next one tries again
    ├── Interrupted            the job          it was told to end, which is no failure
    └── ListingBudgetSpent     the job          listing took too long: what was found so far is handed in
"""

from collections.abc import Sequence
from typing import NamedTuple

from syncd.model import reasons
from syncd.model.reasons import Reason


class Problem(NamedTuple):
    """One thing wrong in a configuration file."""

    file: str
    key: str
    """Dotted key, such as `source.role.external_id`; empty for the file as a whole."""
    message: str
    """What is wrong and what would be right."""

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.message}" if self.key else f"{self.file}: {self.message}"


class SyncdError(Exception):
    """The root of all errors that syncd raises on purpose."""


class ConfigError(SyncdError):
    """The configuration cannot be used; `problems` holds everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class LedgerError(SyncdError):
    """The state file cannot be used."""

    reason = "ledger"
    remedy = "look at the state directory"


class LedgerNewer(LedgerError):
    """A newer syncd wrote the state file."""

    reason = Reason.LEDGER_NEWER
    remedy = reasons.REMEDIES[reason]


class LedgerFull(LedgerError):
    """There is no room on the disk for the state file."""

    reason = Reason.DISK_FULL
    remedy = reasons.REMEDIES[reason]


class LedgerCorrupt(LedgerError):
    """The state file is damaged."""

    reason = Reason.LEDGER_CORRUPT
    remedy = reasons.REMEDIES[reason]


class LedgerRefused(LedgerError):
    """A source told something that the state file cannot hold, such as a key longer than a key can be."""

    reason = Reason.UNEXPECTED
    remedy = reasons.REMEDIES[reason]


class LedgerUnwritable(LedgerError):
    """The state file or its directory cannot be written."""

    reason = Reason.LEDGER_UNWRITABLE
    remedy = reasons.REMEDIES[reason]


class LedgerExposed(LedgerUnwritable):
    """The state file, or its directory, is not this user's alone."""

    remedy = (
        "let state_dir and the folders above it belong to the user that runs syncd, or to root, and let nobody else write to"
        " them (`chmod go-w`), without links in the place of files; run syncd as that user: `runuser -u syncd -- syncd ...`"
    )


class AlreadyRunning(SyncdError):
    """Another process holds the lock of this job.

    `holder` names it: process ID, host, and since when, as far as the lock file tells.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class JobFailed(SyncdError):
    """This job's tick cannot go on.

    `reason` is a short word for machines (`access_denied`), `detail` names the call, the principal and the
    resource, `remedy` is what the operator can do: by default the remedy of the reason.
    """

    def __init__(self, reason: str, detail: str, remedy: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.remedy = remedy or reasons.remedy_of(reason)


class Interrupted(JobFailed):
    """This job was told to end, and what it would have begun is left to the next tick."""

    def __init__(self) -> None:
        super().__init__(
            "interrupted", "told to end before all was done", "run it again: it goes on where this one ended"
        )


class ListingBudgetSpent(JobFailed):
    """Listing has taken as long as a tick may list; everything found so far is good, and the rest is not listed."""
