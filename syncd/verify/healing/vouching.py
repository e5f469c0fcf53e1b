"""Which of two contents a digest vouches for, the replica's or the source's: told in the proof and in the quarantine."""

from collections.abc import Mapping, Sequence
from threading import Event
from typing import NamedTuple

from syncd.config.job import Job
from syncd.job.installation import Installation
from syncd.ledger.ledger import ReplicaLedger
from syncd.model.errors import Interrupted, JobFailed
from syncd.model.keys.stamps import stamp_of
from syncd.model.objects import Conflict, LogObject, Transfer
from syncd.tick.scope import replica_of, scope_of
from syncd.verify.healing.healer import as_job_failure
from syncd.verify.healing.lost import is_copied, shard_of
from syncd.verify.healing.source import SourceReader
from syncd.verify.proof import Disagreement, Proof
from syncd.verify.rules.place import Place
from syncd.verify.rules.result import PlaceResult

NOT_COPIED = "the job does not copy it, or not any more"


class Vouched(NamedTuple):
    """A log that two of the three disagree about."""

    found: Disagreement
    listed: LogObject | None
    """The object, as the source lists it."""
    why_not: str
    """The reason that the source could not be asked, or an empty text."""


class Voucher:
    """Compares replica, source and digest of the logs that two of them disagree about."""

    def __init__(self, job: Job, installation: Installation, proof: Proof, *, holds: bool, stop: Event) -> None:
        """Nothing is written to the quarantine unless it `holds`."""
        self._job, self._installation = job, installation
        self._proof = proof
        self._holds = holds
        self._stop = stop
        self._why_not = ""

    def conflicts(self, place: Place) -> Sequence[str]:
        """Return the keys of the place's logs that are in quarantine as conflicts. Raises JobFailed."""
        prefixes = tuple(prefix for found in place.prefixes().values() for prefix in found)
        with as_job_failure(), self._installation.ledger_file.open_readonly() as reader:
            held = reader.view(replica_of(self._job)).quarantined(with_details=False)
        return [key for key, item in held.items() if item.is_conflict and key.startswith(prefixes)]

    def vouch(self, place: Place, result: PlaceResult) -> Sequence[Vouched]:
        """Compare what the audit found to differ, or was told to watch. Returns what differs.

        Raises:
            JobFailed: the state cannot be written.
        """
        if not result.hashes:
            return ()
        listed, hashes = self._of_source(place, result)
        found = [
            Disagreement(key, digest, replica, hashes.get(key, ""))
            for key, (digest, replica) in sorted(result.hashes.items())
        ]
        differing = [item for item in found if item.vouched != "both"]
        self._proof.conflicts += differing
        if self._holds:
            self._note_all(place, found, listed)
        return [
            Vouched(item, listed.get(item.key), self._why_not if self._is_copied(item.key, place) else NOT_COPIED)
            for item in differing
        ]

    def _is_copied(self, key: str, place: Place) -> bool:
        scope = scope_of(self._job)
        return scope is not None and is_copied(key, place, scope)

    def _note_all(self, place: Place, found: Sequence[Disagreement], listed: Mapping[str, LogObject]) -> None:
        with (
            as_job_failure(),
            self._installation.ledger_file.open(replica_of(self._job), self._job.name) as ledger,
        ):
            for item in found:
                self._note(ledger, place, item, listed.get(item.key))

    def _of_source(self, place: Place, result: PlaceResult) -> tuple[Mapping[str, LogObject], Mapping[str, str]]:
        try:
            source = SourceReader(self._job, self._installation, self._proof.requests, stop=self._stop)
            listed = source.listed(
                [(key, shard_of(key, place)) for key in result.hashes if self._is_copied(key, place)]
            )
            return listed, source.hashes(listed.values())
        except Interrupted:
            raise
        except JobFailed as error:
            # Without the source, the digest still tells whether the replica is right.
            self._why_not = f"the source cannot be asked for it: {error.reason}: {error.detail}"
            return {}, {}

    def _note(self, ledger: ReplicaLedger, place: Place, found: Disagreement, listed: LogObject | None) -> None:
        held = ledger.held(found.key)
        if found.vouched == "both":
            if held is not None and held.is_conflict:
                ledger.retry(found.key)
            return
        if found.key in ledger.accepted():
            return
        item = held.object if held is not None else listed or LogObject(found.key, "", 0, stamp_of(found.key) or 0.0)
        transfer = Transfer(shard_of(found.key, place), item, self._job.destination.prefix + found.key)
        ledger.record([Conflict(transfer, found.words)], [], now=self._installation.now())
