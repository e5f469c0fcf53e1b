"""Pruning the source: what is proved to be replicated is deleted there, by a session that may. Never part of a tick.

The comparison with the source and the digests of the replica say what may go (`prunable.py`). An object is deleted
on the condition of the ETag that was proved; if the server takes no conditions it is looked at just before.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from queue import SimpleQueue
from secrets import token_hex
from threading import Event

from syncd.aws import answers
from syncd.aws.endpoint import Endpoint
from syncd.aws.s3 import Answer, Request, Side
from syncd.config.job import Job
from syncd.copy.deletion import delete_object
from syncd.copy.terms import Copy, CopyFailed, Steps, Terms
from syncd.copy.workers.engine import CopyEngine
from syncd.job.installation import Installation
from syncd.model import events
from syncd.model.errors import AlreadyRunning, Interrupted, JobFailed
from syncd.model.keys.stamps import DAY_SECONDS, day_start, utc_day
from syncd.model.objects import AlreadyThere, Failed, LogObject, Shard, Transfer, Window
from syncd.model.reasons import Reason, remedy_of
from syncd.model.reports import JobError, job_error
from syncd.tick.scope import scope_of, source_prefixes
from syncd.verify import proof
from syncd.verify.prover import Prover
from syncd.verify.pruning.prunable import ALWAYS_NAMED, DigestProof, Prunable, Pruned, PruneDay
from syncd.verify.rules.chain import Found
from syncd.verify.rules.digest import Refused, parse
from syncd.verify.rules.keys import PublicKey
from syncd.verify.rules.progress import Progress
from syncd.verify.source.comparison import Comparison
from syncd.verify.source.ends import ends_of, horizon_of_others, terms_of
from syncd.verify.source.probing import Reads
from syncd.verify.source.results import Asked, Compared

FAILURES_KEPT = 1000
_PROBE = "syncd-prune"


class Pruner:
    """Prunes the source of one job. Make one for each."""

    def __init__(
        self,
        job: Job,
        installation: Installation,
        *,
        older_than_days: int,
        deletes: bool,
        known_keys: Iterable[PublicKey] = (),
        asks: bool = True,
        others: Sequence[Job] = (),
        stop: Event,
        on_progress: Callable[[int, int], None] = lambda *_: None,
    ) -> None:
        """Nothing is deleted unless `deletes`. `asks` is False if AWS is asked for no public keys.

        `others` are jobs that may read the same objects: nothing goes that they have yet to copy.
        `done` tells how far it came, also of a run that was interrupted.
        """
        self._job, self._installation = job, installation
        self._known_keys, self._asks = list(known_keys), asks
        self._others = others
        self._stop, self._on_progress = stop, on_progress
        self.done = Pruned(job=job.name, older_than_days=older_than_days, deletes=deletes)
        self._objects: defaultdict[tuple[Shard, str], list[LogObject]] = defaultdict(list)
        self._deleted: set[str] = set()
        self._is_logs_only = scope_of(job) is None

    def run(self) -> Pruned:
        """Prune. What is wrong is in the result, unless the run is interrupted.

        Raises:
            Interrupted: it was told to stop. What was deleted until then is in the log.
            LedgerError: the job's lock cannot be taken.
        """
        done, now = self.done, self._installation.now
        began_at = now()
        lock = self._installation.locks.catch_up(self._job.name) if done.deletes else nullcontext(0)
        try:
            with lock:
                self._prune(began_at)
        except AlreadyRunning as error:
            done.is_running = True
            done.error = JobError(reason="already_running", detail=error.holder, remedy="wait for it to end")
        except Interrupted:
            raise
        except JobFailed as error:
            done.error = job_error(error, self._job.name)
        done.duration_seconds = now() - began_at
        return done

    def _prune(self, now: float) -> None:
        done = self.done
        oldest_kept = now - done.older_than_days * DAY_SECONDS
        found = self._compared(now, utc_day(max(0.0, oldest_kept - DAY_SECONDS)))
        done.requests += found.requests
        if found.error is not None:
            raise JobFailed(found.error.reason, found.error.detail, found.error.remedy)
        theirs = horizon_of_others(self._job, self._others, self._installation, now=now)
        end = day_start(utc_day(max(0.0, min(oldest_kept, found.complete_until, theirs))))
        done.until = end if end > found.complete_from and found.complete_until else 0.0
        last_day = utc_day(end - DAY_SECONDS) if done.until else ""
        proofs = None if self._is_logs_only or not found.days else self._proofs(found)
        plan = Prunable(found, self._objects, proofs, last_day=last_day)
        done.kept = plan.kept
        if done.deletes and (plan.days or plan.digests):
            self._delete_all(plan)
        else:
            self._foresee(plan)

    def _compared(self, now: float, last_day: str) -> Compared:
        asked = Asked(
            window=Window(None, last_day),
            now=now,
            reads=Reads.IF_NEEDED,
            trusts_ledger=lambda shard: shard.kind in ALWAYS_NAMED and not self._is_logs_only,
        )
        comparison = Comparison(
            self._job,
            asked,
            self._installation,
            stop=self._stop,
            on_progress=self._on_progress,
            on_proved=lambda shard, day, item: self._objects[shard, day].append(item),
        )
        return comparison.run()

    def _proofs(self, found: Compared) -> list[DigestProof]:
        """Return what the digests of the replica prove of the days that the source still has.

        Raises:
            JobFailed: there are none, or they cannot be read.
        """
        named: dict[str, Sequence[str]] = {}

        def record(what: object) -> None:
            if isinstance(what, Found):
                named[what.key] = _logs_of(what)

        days = [day for _, day in found.days]
        # The digest that names the last logs of a day comes in the day after it.
        asked = proof.Asked(
            first=day_start(min(days)), last=day_start(max(days)) + 2 * DAY_SECONDS, reads_all=True, heals=False
        )
        prover = Prover(
            self._job,
            asked,
            self._installation,
            self._known_keys,
            asks=self._asks,
            record=record,
            stop=self._stop,
            progress=Progress(self._on_progress),
        )
        proved = prover.run()
        self.done.requests += proved.requests
        if proved.error is not None:
            raise JobFailed(proved.error.reason, proved.error.detail, proved.error.remedy)
        return [DigestProof(place=place, named=named) for place in proved.places]

    def _foresee(self, plan: Prunable) -> None:
        """Count what would go."""
        would_be = {item.key for day in plan.days for item in day.objects}
        for day in plan.days:
            self._note(day, day.objects)
        for day in plan.digests:
            items = [item for item in day.objects if plan.may_go(item.key, would_be)]
            self.done.waiting += len(day.objects) - len(items)
            self._note(day, items)

    def _delete_all(self, plan: Prunable) -> None:
        job, done = self._job, self.done
        source, destination = ends_of(job, self._installation, done.requests, deletes=True)
        done.is_conditional = self._tried(source)
        terms = terms_of(job, source, destination)
        engine = CopyEngine(
            {Side.SOURCE: source},
            begin=partial(_deleted, terms=terms, is_conditional=done.is_conditional),
            in_flight=lambda: job.engine.in_flight or self._installation.settings.engine.in_flight,
            memory_bytes=lambda: self._installation.settings.engine.memory,
            held_bytes=lambda _: 0,
        )
        for day in plan.days:
            self._delete(engine, day, day.objects)
        for day in plan.digests:
            items = [item for item in day.objects if plan.may_go(item.key, self._deleted)]
            done.waiting += len(day.objects) - len(items)
            self._delete(engine, day, items)

    def _delete(self, engine: CopyEngine, day: PruneDay, items: Sequence[LogObject]) -> None:
        done, gone = self.done, 0
        transfers = (Transfer(day.shard, item, self._job.destination.prefix + item.key) for item in items)
        for outcome in engine.copy_all(transfers, self._stop):
            item = outcome.transfer.object
            if isinstance(outcome, Failed):
                done.failed_count += 1
                done.failed += [outcome] if len(done.failed) < FAILURES_KEPT else []
                continue
            gone += 1
            self._deleted.add(item.key)
            self._on_progress(1, 0)
            facts = {"etag": item.etag, "size_bytes": item.size_bytes, "bucket": self._job.source.bucket}
            self._installation.tell(events.SOURCE_PRUNED, job=self._job.name, key=item.key, **facts)
        self._note(day, items, gone)
        if self._stop.is_set():
            raise Interrupted

    def _note(self, day: PruneDay, items: Sequence[LogObject], gone: int = 0) -> None:
        if items:
            self.done.days.append((day._replace(objects=items), gone))
            self.done.size_bytes += sum(item.size_bytes for item in items)

    def _tried(self, source: Endpoint) -> bool:
        """Delete what nobody has, on a condition. Returns True if the server minds the condition.

        Raises:
            JobFailed: the role may not delete.
        """
        key = f"{source_prefixes(self._job)[0]}{_PROBE}-{token_hex(8)}"
        answer = self._answer(source, delete_object(Side.SOURCE, key, if_match=_PROBE))
        reason = answers.reason_of(answer.status, answer.code, answer.message)
        if not answer.is_ok and answer.status not in (404, 412, 501):
            remedy = remedy_of(reason)
            if answer.status == 403:
                whose = "the owner of the source add" if self._job.source.role is not None else "both sides have"
                remedy = f"let {whose} the statement that `syncd policies {self._job.name} --prune` prints"
            told = answers.said("DeleteObject", answer.code or str(answer.status), answer.message)
            raise JobFailed(
                reason, f"DeleteObject by {source.principal.name} of s3://{source.bucket}/{key}: {told}", remedy
            )
        return answer.status in (404, 412)

    def _answer(self, end: Endpoint, request: Request) -> Answer:
        waiting: SimpleQueue[Answer] = SimpleQueue()
        end.send(request, lambda answer, _: waiting.put(answer))
        return waiting.get()


def _deleted(transfer: Transfer, *, terms: Terms, is_conditional: bool) -> Steps:
    """Delete one object of the source, of which the destination holds the same content."""
    try:
        yield from _deleting(Copy(transfer, terms), is_conditional=is_conditional)
    except CopyFailed as failed:
        return Copy(transfer, terms).failed(failed)
    return AlreadyThere(transfer)


def _deleting(copy: Copy, *, is_conditional: bool) -> Generator[Request, Answer, None]:
    item = copy.object
    if not item.etag:
        raise CopyFailed(Reason.UNSUPPORTED, f"{copy.source_url}: the server tells no ETag of it")
    if not is_conditional:
        look = Request("HeadObject", Side.SOURCE, "HEAD", item.key, "", (("if-match", f'"{item.etag}"'),))
        answer = yield look
        if not answer.is_ok:
            raise copy.failure(answer, look)
    request = delete_object(Side.SOURCE, item.key, if_match=item.etag if is_conditional else "")
    answer = yield request
    if not answer.is_ok:
        raise copy.failure(answer, request)


def _logs_of(found: Found) -> Sequence[str]:
    try:
        return tuple(log.key for log in parse(found.body).logs)
    except Refused:
        return ()
