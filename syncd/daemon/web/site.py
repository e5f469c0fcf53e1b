"""The paths of the status port: /metrics, /healthz, /readyz, /freshz, and the pages for people."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from syncd.config.job import Job
from syncd.daemon.board import JobBoard
from syncd.daemon.web.jobpage import job_page
from syncd.daemon.web.messages import Reply
from syncd.daemon.web.metrics import CONTENT_TYPE, Metrics
from syncd.daemon.web.page import overview
from syncd.job.health.health import JobHealth, objective_document
from syncd.job.health.word import WORST_FIRST, health_word
from syncd.ledger.ledger import LedgerFile
from syncd.model.errors import LedgerError
from syncd.model.escaping import safe_line

RESERVED = ("/healthz", "/readyz", "/freshz")
"""The paths of probes, answered even if everything else is slow."""
_JOBS_SHOWN = 100
_JOB = "/jobs/"


class Site:
    """The replies by path. Any thread may call it: it keeps no state of its own."""

    def __init__(
        self,
        board: JobBoard,
        metrics: Metrics,
        ledger_file: LedgerFile,
        *,
        find_job: Callable[[str], Job | None],
        stuck_reason: Callable[[], str | None],
        unready_reason: Callable[[], str | None],
        now: Callable[[], float],
        notes: Callable[[], Sequence[tuple[str, str]]] = tuple,
    ) -> None:
        """`notes` returns sentences about the daemon itself, each with a remedy or none."""
        self._board = board
        self._metrics = metrics
        self._ledger_file = ledger_file
        self._find_job = find_job
        self._stuck_reason = stuck_reason
        self._unready_reason = unready_reason
        self._now = now
        self._notes = notes

    def answer(self, path: str, query: Mapping[str, str]) -> Reply | None:
        """Return the reply for a path, or None if there is no such path."""
        match path:
            case "/":
                return self._overview(query)
            case "/metrics":
                return Reply(self._metrics.exposition(), CONTENT_TYPE)
            case "/healthz":
                return self._health()
            case "/readyz":
                return self._readiness()
            case "/freshz":
                return self._freshness()
        return self._job(path.removeprefix(_JOB), query) if path.startswith(_JOB) else None

    def _overview(self, query: Mapping[str, str]) -> Reply:
        page = query.get("page", "")
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 8 else 1
        words = query.get("q", "")[:100]
        is_refreshed = "refresh" in query
        now, notes = self._now(), self._notes()
        return _html(overview(self._board, now=now, words=words, page=number, refresh=is_refreshed, notes=notes))

    def _job(self, name: str, query: Mapping[str, str]) -> Reply | None:
        job = self._find_job(name)
        if job is None:
            refusal = self._board.refused().get(name)
            if refusal is None:
                return None
            text = (
                f"The job does not run, since its file cannot be used: {refusal.error.detail}\n{refusal.error.remedy}\n"
            )
            return Reply(text.encode(), "text/plain; charset=utf-8", HTTPStatus.SERVICE_UNAVAILABLE)
        try:
            with self._ledger_file.open_readonly() as reader:
                return _html(job_page(self._board, job, reader, now=self._now(), refresh="refresh" in query))
        except LedgerError as error:
            text = f"The state cannot be read now: {safe_line(str(error))}\n{error.remedy}\n"
            return Reply(text.encode(), "text/plain; charset=utf-8", HTTPStatus.SERVICE_UNAVAILABLE)

    def _health(self) -> Reply:
        """Report if the daemon is alive, regardless of its jobs."""
        stuck = self._stuck_reason()
        return _json({"alive": stuck is None, "why": stuck}, is_well=stuck is None)

    def _readiness(self) -> Reply:
        """Report if the daemon serves and schedules its jobs, whatever they do."""
        why = self._unready_reason()
        return _json({"ready": why is None, "why": why}, is_well=why is None)

    def _freshness(self) -> Reply:
        """Report if every job meets its objective. The worst jobs come first."""
        now = self._now()
        why = {item.job: list(item.why) for item in self._board.late()}
        healths = sorted(self._board.healths(), key=lambda health: WORST_FIRST[health_word(health, now)])
        document: dict[str, Any] = {
            "fresh": not why,
            "late": list(why)[:_JOBS_SHOWN],
            "late_count": len(why),
            "health": Counter(health_word(item, now) for item in healths),
            "job_count": len(healths),
            "jobs": [_fresh_job(item, why.get(item.job, []), now) for item in healths[:_JOBS_SHOWN]],
        }
        return _json(document, is_well=not why)


def _fresh_job(health: JobHealth, why: Sequence[str], now: float) -> dict[str, Any]:
    progress = None if health.running is None else health.running.document()
    document = objective_document(health, now)
    return {"job": health.job, "health": health_word(health, now), **document, "running": progress, "why": why}


def _html(page: str) -> Reply:
    return Reply(page.encode(), "text/html; charset=utf-8")


def _json(document: Mapping[str, Any], *, is_well: bool) -> Reply:
    status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
    return Reply(json.dumps(document).encode() + b"\n", "application/json", status)
