"""Webhooks: what happens to a job, told to services that people use. No tick waits for one."""

import threading
from collections.abc import Callable
from queue import Empty, Full, Queue
from time import monotonic
from typing import NamedTuple

from syncd.config.job import Job
from syncd.config.tables.webhooks import Address, Happening, Healthchecks, PagerDuty, Webhook
from syncd.daemon.log.repeats import RepeatedProblems
from syncd.daemon.notify import templates
from syncd.daemon.notify.calls import failure_of, may_pass, read, read_text
from syncd.daemon.notify.templates import Call, News
from syncd.job.health.health import JobHealth
from syncd.job.health.word import health_word
from syncd.job.report import utc
from syncd.model import events
from syncd.model.reasons import Reason, remedy_of
from syncd.model.reports import TickReport

MOST_WAITING = 1000
LANES = 4
_WAITS = (1.0, 5.0)
_LAST_SECONDS = 3.0
_STALE = ("interrupted", "already-running")


class _Delivery(NamedTuple):
    """News for one webhook of a job."""

    job: Job
    template: str
    news: News


class Webhooks:
    """The sender of webhooks. The news of a job are sent one after the other, in their order.

    Shared: the threads of ticks call `started` and `ended`, of which one at a time is about one job. Each lane has one
    thread. Sets and dicts are changed by single operations under the GIL.
    """

    def __init__(self, problems: RepeatedProblems, *, now: Callable[[], float]) -> None:
        self._problems = problems
        self._now = now
        self._lanes: dict[int, Queue[_Delivery]] = {}
        self._failing: set[tuple[str, str]] = set()
        """Webhooks whose last call failed."""
        self._trouble: dict[str, tuple[str, str] | None] = {}
        """By job the trouble that was told last, in two words, or None for none."""
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def started(self, job: Job) -> None:
        """Tell that a tick begins."""
        if _hooks(job):
            self._tell(job, News("start", job.name, job.consumer.account_id, utc(self._now())))

    def ended(self, job: Job, report: TickReport, health: JobHealth | None) -> None:
        """Tell what became of a tick."""
        if not _hooks(job) or health is None or report.outcome in _STALE:
            return
        word = health_word(health, self._now())
        news = _news(job, report, health, word.value, at=utc(self._now()))
        is_first, before = job.name not in self._trouble, self._trouble.get(job.name)
        if word.is_well:
            self._trouble[job.name] = None
            self._tell(job, news("ok"))
            if before is not None or is_first:
                self._tell(job, news("recovered"), is_first=before is None)
            return
        trouble = (word.value, str(report.error.reason) if report.error else "")
        self._trouble[job.name] = trouble
        is_conflict = bool(report.conflicts)
        self._tell(job, news("conflict" if is_conflict else "fail"), is_repeated=trouble == before and not is_conflict)

    def forget(self, job: str) -> None:
        """Forget a job that was removed."""
        self._trouble.pop(job, None)
        self._failing = {item for item in self._failing if item[0] != job}

    def close(self) -> None:
        """Send what waits, for a moment, and no more."""
        until = monotonic() + _LAST_SECONDS
        self._over.set()
        for thread in self._threads:
            thread.join(max(0.0, until - monotonic()))

    def _tell(self, job: Job, news: News, *, is_repeated: bool = False, is_first: bool = False) -> None:
        """Queue the news for each webhook that wants it.

        A heartbeat hears of each tick, and the others of what is new. At the daemon's first look at a job only what
        resolves an incident is told, since nobody knows what was told before.
        """
        for template, hook in _hooks(job).items():
            is_heartbeat = isinstance(hook, Healthchecks)
            event: Happening = "fail" if news.event == "conflict" and "conflict" not in hook.on else news.event
            is_wanted = event in hook.on and (is_heartbeat or not is_repeated)
            if is_wanted and (not is_first or isinstance(hook, PagerDuty)):
                self._queue(_Delivery(job, template, news))

    def _queue(self, delivery: _Delivery) -> None:
        number = hash(delivery.job.name) % LANES
        lane = self._lanes.get(number)
        if lane is None:
            lane = self._lanes.setdefault(number, Queue(MOST_WAITING))
            thread = threading.Thread(target=self._deliver_all, args=(lane,), name=f"webhooks-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()
        try:
            lane.put_nowait(delivery)
        except Full:
            self._take(delivery, f"{MOST_WAITING} calls are waiting already")

    def _deliver_all(self, lane: "Queue[_Delivery]") -> None:
        while True:
            try:
                delivery = lane.get(timeout=0.5)
            except Empty:
                if self._over.is_set():
                    return
                continue
            self._take(delivery, self._failure(delivery))

    def _failure(self, delivery: _Delivery) -> str | None:
        """Make a call, again if the failure may pass. Returns why it failed, or None."""
        try:
            call = _call(delivery)
        except ValueError as error:
            return str(error)
        for wait in (*_WAITS, None):
            failure = failure_of(call.url, call.body, call.headers)
            if failure is None or wait is None or not may_pass(failure) or self._over.wait(wait):
                return failure
        return None

    def _take(self, delivery: _Delivery, failure: str | None) -> None:
        """Log the first failure of a webhook in a row, and the end of the row."""
        job, template = delivery.job.name, delivery.template
        if failure is not None and (job, template) not in self._failing:
            self._failing.add((job, template))
            self._problems.log(events.WEBHOOK_FAILED, job=job, webhook=template, reason=failure)
        elif failure is None and (job, template) in self._failing:
            self._failing.discard((job, template))
            self._problems.log(events.WEBHOOK_RECOVERED, job=job, webhook=template)


def _hooks(job: Job) -> dict[str, Webhook | PagerDuty]:
    """Return the webhooks of a job that have somebody to call."""
    hooks = job.webhooks
    by_url = {"healthchecks": hooks.healthchecks, "slack": hooks.slack, "json": hooks.json_}
    found: dict[str, Webhook | PagerDuty] = {name: hook for name, hook in by_url.items() if hook.address.is_given}
    return found if hooks.pagerduty.key_file is None else {**found, "pagerduty": hooks.pagerduty}


def _news(job: Job, report: TickReport, health: JobHealth, word: str, *, at: str | None) -> Callable[[Happening], News]:
    reason, detail, remedy = _trouble_of(report, health)

    def news(event: Happening) -> News:
        is_trouble = event in ("fail", "conflict")
        return News(
            event,
            job.name,
            job.consumer.account_id,
            at,
            word,
            report.outcome,
            reason=reason if is_trouble else "",
            detail=detail if is_trouble else "",
            remedy=remedy if is_trouble else "",
            copied=report.copied,
            copied_bytes=report.copied_bytes,
            complete_until=utc(report.complete_until) if report.complete_until else None,
        )

    return news


def _trouble_of(report: TickReport, health: JobHealth) -> tuple[str, str, str]:
    """Return the reason, the detail and the remedy of the worst that is known, or empty texts."""
    if report.error is not None:
        return str(report.error.reason), report.error.detail, report.error.remedy
    if report.conflicts:
        key, detail = report.conflicts[0]
        reason = str(Reason.CONFLICT)
    elif report.failed:
        key, reason, detail = report.failed[0].key, report.failed[0].reason, report.failed[0].detail
    elif health.oldest_held is not None:
        held = health.oldest_held
        key, reason, detail = held.object.key, held.reason, held.detail
    else:
        return "", "", ""
    remedy = remedy_of(reason, job=report.job, key=key, detail=detail)
    return str(reason), f"{key}: {detail}" if detail else key, remedy


def _call(delivery: _Delivery) -> Call:
    hook, news = _hooks(delivery.job)[delivery.template], delivery.news
    url = read(hook.address, job=delivery.job.name)
    match delivery.template:
        case "pagerduty":
            assert isinstance(hook, PagerDuty)
            return templates.pagerduty(url, read_text(Address(None, hook.key_file)), news)
        case "healthchecks":
            return templates.healthchecks(url, news)
        case "slack":
            return templates.slack(url, news)
        case _:
            return templates.plain(url, news)
