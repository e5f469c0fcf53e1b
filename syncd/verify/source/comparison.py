"""One job's source, replica and ledger compared, shard by shard. S3 is asked only for what the listings leave open."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from threading import Event

from syncd.aws.endpoint import Endpoint
from syncd.aws.listing import BucketLister
from syncd.aws.s3 import Side
from syncd.config.job import Job
from syncd.copy.terms import Copy, Steps, Terms
from syncd.copy.workers.engine import CopyEngine
from syncd.job.health.health import health_of
from syncd.job.health.state import read_state
from syncd.job.installation import Installation
from syncd.ledger.ledger import LedgerView, Reader
from syncd.model.errors import Interrupted, JobFailed, LedgerError
from syncd.model.objects import AlreadyThere, Failed, LogObject, Page, Range, Shard, ShardState, Transfer
from syncd.model.reports import JobError, job_error
from syncd.tick.listing.discovery import discover
from syncd.tick.listing.tiers import is_listed_whole, window_range
from syncd.tick.scope import layout_of, replica_of, scope_of, shard_of
from syncd.tick.side_by_side import at_destination
from syncd.verify.rules.verdict import Finding, Flaw
from syncd.verify.source.days import SealedRun
from syncd.verify.source.ends import ReplicaFolders, ends_of, rows_of, terms_of
from syncd.verify.source.judge import Judge, Question
from syncd.verify.source.probing import Judged, Reads, compared
from syncd.verify.source.results import EVER, Asked, Compared
from syncd.verify.source.sides import Trio, objects_of, side_by_side

_FIRST_DAY, _LAST_DAY = "0000-00-00", "9999-99-99"


class Comparison:
    """Compares one job. Make one for each."""

    def __init__(
        self,
        job: Job,
        asked: Asked,
        installation: Installation,
        *,
        stop: Event,
        on_progress: Callable[[int, int], None] = lambda *_: None,
        on_proved: Callable[[Shard, str, LogObject], None] = lambda *_: None,
    ) -> None:
        """`on_proved` is told each object of the source whose replica is proved, with its shard and day."""
        self._job, self._asked, self._installation = job, asked, installation
        self._stop = stop
        self._on_progress, self._on_proved = on_progress, on_proved
        self._layout = layout_of(job)
        self._questions: dict[str, Question] = {}
        self._judged: dict[str, Judged] = {}
        self._found = Compared(job=job.name, asked=asked)

    def run(self) -> Compared:
        """Compare. What is wrong with the job is in the result, unless the run is interrupted.

        Raises:
            Interrupted: it was told to stop.
        """
        found, now = self._found, self._installation.now
        began_at = now()
        try:
            with self._installation.ledger_file.open_readonly() as reader:
                self._compare(reader)
        except Interrupted:
            raise
        except JobFailed as error:
            found.error = job_error(error, self._job.name)
        except LedgerError as error:
            found.error = JobError(reason=error.reason, detail=str(error), remedy=error.remedy)
        found.duration_seconds = now() - began_at
        return found

    def _compare(self, reader: Reader) -> None:
        job, found, limits = self._job, self._found, self._installation.settings.engine
        view = reader.view(replica_of(job))
        state = read_state(job, reader)
        health = health_of(job, state, now=self._asked.now)
        found.complete_from, found.complete_until = health.complete_from, health.complete_until
        judge = Judge(
            found, self._layout, accepted=view.accepted(), start=view.start() or 0.0, on_proved=self._on_proved
        )
        source, destination = ends_of(job, self._installation, found.requests)
        terms = terms_of(job, source, destination)
        engine = CopyEngine(
            {Side.SOURCE: source, Side.DESTINATION: destination},
            begin=partial(self._steps, terms),
            in_flight=lambda: job.engine.in_flight or limits.in_flight,
            memory_bytes=lambda: job.engine.memory or limits.memory,
            held_bytes=terms.held_bytes if self._asked.reads is not Reads.NEVER else lambda _: 0,
        )
        for outcome in engine.copy_all(self._transfers(judge, view, state.shards, source, destination), self._stop):
            key = outcome.transfer.object.key
            question, judged = self._questions.pop(key), self._judged.pop(key, None)
            if isinstance(outcome, Failed):
                judged = Judged(None, Finding(Flaw.UNREADABLE, outcome.detail, key))
            assert judged is not None, "it was compared"
            judge.answered(question, judged)
            self._on_progress(1, outcome.transfer.object.size_bytes)
        if self._stop.is_set():
            raise Interrupted

    def _steps(self, terms: Terms, transfer: Transfer) -> Steps:
        key = transfer.object.key
        question = self._questions[key]
        reads = self._asked.reads if question.trio.source is not None else Reads.NEVER
        self._judged[key] = yield from compared(Copy(transfer, terms), reads=reads, written_etag=question.written_etag)
        return AlreadyThere(transfer)

    def _transfers(
        self,
        judge: Judge,
        view: LedgerView,
        known: Sequence[ShardState],
        source: Endpoint,
        destination: Endpoint,
    ) -> Iterator[Transfer | None]:
        """Yield what S3 has to be asked of, while going through the listings. None is nothing yet."""
        for question in self._judged_listings(judge, view, known, source, destination):
            if question is None:
                yield None
                continue
            key = question.trio.key
            self._questions[key] = question
            yield Transfer(question.shard, question.item, self._job.destination.prefix + key)

    def _judged_listings(
        self,
        judge: Judge,
        view: LedgerView,
        known: Sequence[ShardState],
        source: Endpoint,
        destination: Endpoint,
    ) -> Iterator[Question | None]:
        now, stop = self._installation.now, self._stop
        here = BucketLister(source, Side.SOURCE, now=now, stop=stop, takes_trees=True)
        there = BucketLister(destination, Side.DESTINATION, now=now, stop=stop, takes_trees=True)
        states, loose = self._shards(known, here, there)
        for page in loose:
            shard = page.range.shard
            rows = view.known(shard, [item.key for item in page.objects])
            for item in page.objects:
                yield from self._one(judge, shard, Trio(item.key, item, None, rows.get(item.key)), None)
        for state in states:
            yield from self._shard(judge, state, view, here, there)

    def _shards(
        self, states: Sequence[ShardState], here: BucketLister, there: BucketLister
    ) -> tuple[list[ShardState], list[Page]]:
        """Return the shards that any of the three has, and the objects that lie above them."""
        scope, only = scope_of(self._job), shard_of(self._job)
        known = {state.shard.prefix: state for state in states}
        if scope is None:
            assert only is not None
            return [known.get(only.prefix) or ShardState(shard=only)], []
        found = discover(scope, here, looks={}, every=0.0, now=self._asked.now)
        self._found.uncovered = list(found.uncovered)
        replicas = ReplicaFolders(there, self._job.destination.prefix)
        at_destination = discover(scope, replicas, looks={}, every=0.0, now=self._asked.now)
        for shard in (*found.shards, *at_destination.shards):
            known.setdefault(shard.prefix, ShardState(shard=shard))
        return [known[prefix] for prefix in sorted(known)], found.loose

    def _shard(
        self, judge: Judge, state: ShardState, view: LedgerView, here: BucketLister, there: BucketLister
    ) -> Iterator[Question | None]:
        shard, window, prefix = state.shard, self._asked.window, self._job.destination.prefix
        is_whole = is_listed_whole(state, self._layout) or window == EVER
        wanted = self._layout.whole(shard) if is_whole else window_range(shard, window, layout=self._layout)
        sealed = view.sealed(shard, window.first or _FIRST_DAY, window.last or _LAST_DAY)
        run: SealedRun | None = None
        trios = side_by_side(
            objects_of(self._readable(judge, here, wanted)),
            objects_of(there.pages([at_destination(wanted, prefix)]), strip=prefix),
            rows_of(view, wanted),
        )
        for trio in trios:
            if trio is None:
                yield None
                continue
            folder = self._layout.day(shard, trio.key)
            if run is not None and folder != run.day:
                yield from judge.ended(shard, run)
                run = None
            if run is None and folder in sealed:
                run = SealedRun(folder, sealed.pop(folder))
            yield from self._one(judge, shard, trio, run)
        if run is not None:
            yield from judge.ended(shard, run)
        for day, was in sealed.items():
            yield from judge.ended(shard, SealedRun(day, was))
        self._found.prefixes.add(shard.prefix)

    def _one(self, judge: Judge, shard: Shard, trio: Trio, run: SealedRun | None) -> Iterator[Question]:
        day, window = judge.day_of(shard, trio), self._asked.window
        if (window.first or day) <= day <= (window.last or day):
            is_asked = False
            for question in judge.take(shard, trio, run):
                is_asked = True
                yield question
            if not is_asked:
                self._on_progress(1, trio.source.size_bytes if trio.source is not None else 0)

    @staticmethod
    def _readable(judge: Judge, lister: BucketLister, wanted: Range) -> Iterator[Page | None]:
        for page in lister.pages([wanted]):
            for item in page.unreadable if page is not None else ():
                judge.unreadable(wanted.shard, item)
            yield page
