"""The proof of several jobs, one after the other: the keys they share, the files that are asked for, and signals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from syncd.config.job import Configuration, Job
from syncd.job import exit_codes
from syncd.job.exit_codes import DONE, PARTIAL, UNHEALTHY
from syncd.job.installation import Installation
from syncd.job.verbs import interruptible
from syncd.model.errors import Interrupted
from syncd.verify.audit import Audit
from syncd.verify.evidence import timestamp
from syncd.verify.evidence.bundle import BundleWriter, read_bundle
from syncd.verify.evidence.report import write_report
from syncd.verify.keystore import keep_keys, kept_keys, keys_text, read_keys
from syncd.verify.proof import Asked, Newest, Proof, with_tail
from syncd.verify.prover import Prover
from syncd.verify.rules.keys import Keys
from syncd.verify.rules.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files that a proof reads or writes. None for those that nobody asked for."""

    keys: Path | None = None
    export_keys: Path | None = None
    report: Path | None = None
    timestamp: str | None = None
    """URL of the authority that stamps the report."""
    bundle: Path | None = None
    """Of one job only."""


@dataclass(frozen=True, slots=True)
class Proved:
    """The outcome of a run."""

    proofs: Sequence[Proof]
    signal_code: int = 0


def prove(
    configuration: Configuration,
    jobs: Sequence[Job],
    asked: Asked,
    files: Files,
    *,
    now: Callable[[], float],
    tell: Callable[..., Any],
    progress: Progress,
) -> Proved:
    """Prove each job, and write the files.

    Raises:
        ConfigError: the keys cannot be read, or the report cannot be stamped.
        OSError: a file cannot be written.
    """
    installation = Installation.of(configuration, now=now, tell=tell)
    state_dir = configuration.settings.state_dir
    keys = kept_keys(state_dir) if files.keys is None else Keys(read_keys(files.keys))
    proofs: list[Proof] = []
    with interruptible() as interruption:
        session = _Session(installation, asked, files, keys, interruption.stop, progress)
        try:
            for number, job in enumerate(jobs):
                progress.job(number, len(jobs))
                proofs.append(session.prove(job))
        except Interrupted:
            return Proved(proofs, exit_codes.of_signal(interruption.signal))
        finally:
            installation.close()
            if files.keys is None:
                keep_keys(state_dir, keys)
    _write(files, keys, proofs)
    return Proved(proofs)


@dataclass(frozen=True, slots=True)
class _Session:
    """The things that the proofs of one run share."""

    installation: Installation
    asked: Asked
    files: Files
    keys: Keys
    stop: Event
    progress: Progress

    def prove(self, job: Job) -> Proof:
        """Prove one job, and write its bundle."""
        writer = BundleWriter(self.files.bundle) if self.files.bundle is not None else None
        prover = Prover(
            job,
            self.asked,
            self.installation,
            self.keys.all(),
            asks=self.files.keys is None,
            record=writer.record if writer is not None else None,
            stop=self.stop,
            progress=self.progress,
        )
        try:
            proof = prover.run()
        except Interrupted:
            if writer is not None:
                writer.discard()
            raise
        finally:
            self.keys.add_all(prover.keys.all())
        if writer is not None and proof.error is not None:
            writer.discard()
            proof.error = proof.error._replace(detail=f"{proof.error.detail}; no bundle is written")
        elif writer is not None:
            about = {
                "job": job.name,
                "bucket": job.source.bucket,
                "trail_buckets": job.source.trail_buckets,
                "first": self.asked.first,
                "last": self.asked.last,
                "newest": prover.newest,
            }
            writer.close(about, [result.place for result in proof.places], prover.keys)
        return proof


def prove_offline(files: Files, bundle: Path) -> Proved:
    """Repeat the verdict of a bundle. Reads nothing else.

    Raises:
        ConfigError: the bundle, or the keys, cannot be read.
        OSError: a file cannot be written.
    """
    bundled = read_bundle(bundle)
    keys = bundled.keys if files.keys is None else Keys(read_keys(files.keys))
    about = bundled.asked
    asked = Asked(first=about.first, last=about.last, heals=False)
    proof = Proof(job=about.job, asked=asked)
    for place in bundled.places:
        audit = Audit(
            bundled.replica,
            place,
            buckets=[about.bucket, *about.trail_buckets],
            keys=keys,
            first=asked.first,
            last=asked.last,
            passing=bundled.replica,
        )
        newest = {prefix: [Newest(*item) for item in items] for prefix, items in about.newest.items()}
        proof.places.append(with_tail(audit.run(), asked.last, newest))
    _write(files, keys, [proof])
    return Proved([proof])


def _write(files: Files, keys: Keys, proofs: Sequence[Proof]) -> None:
    if files.export_keys is not None:
        files.export_keys.write_text(keys_text(keys), encoding="utf-8")
    for proof in proofs if files.report is not None else ():
        assert files.report is not None
        written = write_report(files.report, proof)
        if files.timestamp is not None:
            timestamp.stamp(written[0], files.timestamp)


def proofs_exit_code(proofs: Sequence[Proof]) -> int:
    """Return 0 if all is proved, 4 if nothing is, 3 if some is, or if a replica was replaced to be proved."""
    verdicts = {proof.verdict for proof in proofs}
    if verdicts <= {"proved"} and not any(proof.repaired or proof.not_repaired for proof in proofs):
        return DONE
    return UNHEALTHY if verdicts == {"unproved"} else PARTIAL
