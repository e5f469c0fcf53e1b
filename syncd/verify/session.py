"""The proof of several jobs, one after the other: the keys they share, and signals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncd.config.job import Configuration, Job
from syncd.job.installation import Installation
from syncd.job.report import DONE, PARTIAL, UNHEALTHY
from syncd.job.session import interruptible
from syncd.model.errors import Interrupted
from syncd.verify.keys import PublicKey
from syncd.verify.keystore import keep_keys, kept_keys, keys_text, read_keys
from syncd.verify.proof import Asked, Proof, Prover


@dataclass(frozen=True, slots=True)
class Proved:
    """What came of a run."""

    proofs: Sequence[Proof]
    signal_code: int = 0


def prove(
    configuration: Configuration,
    jobs: Sequence[Job],
    asked: Asked,
    *,
    keys_file: Path | None,
    export_file: Path | None,
    now: Callable[[], float],
    tell: Callable[..., Any],
    on_progress: Callable[[int, int], None],
) -> Proved:
    """Prove each job.

    Raises:
        ConfigError: the keys cannot be read.
        OSError: they cannot be written.
    """
    installation = Installation.of(configuration, now=now, tell=tell)
    state_dir = configuration.settings.state_dir
    keys = kept_keys(state_dir)
    given: list[PublicKey] | None = None
    if keys_file is not None:
        given = list(read_keys(keys_file))
        for key in given:
            keys.add(key)
    proofs: list[Proof] = []
    with interruptible() as interruption:
        try:
            for job in jobs:
                prover = Prover(
                    job,
                    asked,
                    installation,
                    keys.all(),
                    asks=given is None,
                    stop=interruption.stop,
                    on_progress=on_progress,
                )
                proofs.append(prover.run())
                for key in prover.keys.all():
                    keys.add(key)
        except Interrupted:
            return Proved(proofs, 128 + interruption.signal)
        finally:
            installation.close()
    keep_keys(state_dir, keys)
    if export_file is not None:
        export_file.write_text(keys_text(keys), encoding="utf-8")
    return Proved(proofs)


def proofs_exit_code(proofs: Sequence[Proof]) -> int:
    """Return 0 if all is proved, 4 if nothing is, 3 if some is."""
    verdicts = {proof.verdict for proof in proofs}
    if verdicts <= {"proved"}:
        return DONE
    return UNHEALTHY if verdicts == {"unproved"} else PARTIAL
