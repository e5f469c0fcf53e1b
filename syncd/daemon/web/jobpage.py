"""The page of one job: what it keeps, what is wrong, its shards, what is missing, and its last ticks."""

from collections.abc import Sequence
from urllib.parse import quote

from syncd.config.job import Job
from syncd.daemon.board import Board
from syncd.daemon.web.html import Markup, element, join
from syncd.daemon.web.page import ago, badge, document, minute, objective_tile, table, why_list
from syncd.daemon.web.sparkline import sparkline
from syncd.job.health.freshness import Promise, fresh_until, is_quiet, span
from syncd.job.health.health import Standing, read_with_held, shards_of
from syncd.ledger.ledger import Reader, RecordedTick
from syncd.model import reasons
from syncd.model.escaping import safe_key, safe_line
from syncd.model.objects import Quarantined, ShardState
from syncd.tick.scope import replica_of

SHARDS_SHOWN = 500
HELD_SHOWN = 100
TICKS_SHOWN = 20
_LONGEST_NAME = 200


def job_page(board: Board, job: Job, reader: Reader, *, now: float, refresh: bool = False) -> str:
    """The page of a job, read afresh.

    Raises:
        LedgerError: the state cannot be read.
    """
    read, held = read_with_held(job, reader, shown=HELD_SHOWN, now=now)
    standing = board.present(read)
    states = shards_of(job, reader.view(replica_of(job)).shards())
    why = why_list(board, standing, now)
    body = join(
        element("h1", job.name, " ", badge(standing, now)),
        element("p", _flow(job), class_="soft"),
        element("div", why, class_="notice") if why else None,
        _tiles(standing, now),
        _held(held.counts.objects, held.longest, now) if held.longest else None,
        _shards(states, standing.promise, now),
        _ticks(reader.ticks(job.name, TICKS_SHOWN), now),
    )
    return document(f"{job.name} - syncd", body, now=now, path=f"/jobs/{quote(job.name)}", refresh=refresh)


def _flow(job: Job) -> str:
    source, destination = job.source, job.destination
    via = f" by {source.role.arn}" if source.role else ""
    return f"From s3://{source.bucket}/{source.prefix} of account {source.account_id}{via} to s3://{destination.bucket}/{destination.prefix}"


def _tiles(standing: Standing, now: float) -> Markup:
    last, look = standing.last, standing.look
    return element(
        "dl",
        _tile(
            "Complete until",
            minute(standing.complete_until),
            f"{ago(standing.complete_until, now)}; from {minute(standing.complete_from)}",
        ),
        objective_tile(standing, now),
        _tile("Newest object at the source", ago(look.newest_arrival, now), _news(standing, now)),
        _tile(
            "Last tick",
            ago(standing.finished_at, now),
            f"{last.outcome}, {last.duration_seconds:.1f} s" if last else "",
        ),
        _tile("Copies", last.mode if last and last.mode else "-", sparkline(standing.pulses)),
    )


def _tile(term: str, value: object, note: object) -> Markup:
    return element("div", element("dt", term), element("dd", value, element("small", note)))


def _news(standing: Standing, now: float) -> str:
    """No news is told apart from not looking."""
    look = standing.look
    if not look.listed_at:
        return "not every shard was listed to its end yet"
    looked = f"every shard was looked at within {span(now - look.listed_at)}"
    return f"{looked}; {look.quiet_shards} of {standing.shards} are quiet" if look.quiet_shards else looked


def _held(objects: int, held: Sequence[Quarantined], now: float) -> Markup:
    rows = [
        element(
            "tr",
            element(
                "td",
                element("span", safe_key(item.object.key), class_="key"),
                element("small", safe_line(item.detail)),
            ),
            element("td", item.reason, element("small", reasons.remedy_of(item.reason))),
            element("td", item.attempts, class_="number"),
            element("td", ago(item.first_at, now), class_="time"),
            element("td", "-" if item.is_settled else minute(item.next_at), class_="time"),
        )
        for item in held
    ]
    everything = "1 object" if objects == 1 else f"{objects:,} objects"
    caption = f"The first {len(held)} of {everything}" if objects > len(held) else everything
    titles = ("Object, and what was answered", "Reason and remedy", "Attempts", "Known since", "Next attempt")
    return join(
        element("h2", "Known and not at the destination", id="held"),
        table(caption, titles, rows, numbers=("Attempts",)),
    )


def _shards(states: Sequence[ShardState], promise: Promise, now: float) -> Markup:
    ordered = sorted(states, key=lambda state: (fresh_until(state, promise), state.shard.prefix))
    rows = [_shard_row(state, promise, now) for state in ordered[:SHARDS_SHOWN]]
    caption = f"{len(states):,} shards, the one that is furthest behind first"
    if len(states) > SHARDS_SHOWN:
        caption += f"; {SHARDS_SHOWN} are shown"
    titles = ("State", "Account", "Kind", "Region", "Newest object", "Last listed", "Complete from", "Complete until")
    heading = element("h2", "Shards", id="shards")
    return join(heading, table(caption, titles, rows) if states else element("p", "None was found yet.", class_="soft"))


def _shard_row(state: ShardState, promise: Promise, now: float) -> Markup:
    shard = state.shard
    word, kind = _shard_state(state, promise, now)
    names = [element("td", safe_line(part, _LONGEST_NAME) or "-") for part in (shard.account, shard.kind, shard.region)]
    if not any((shard.account, shard.kind, shard.region)):
        names = [element("td", safe_line(shard.prefix) or "(the whole bucket)", class_="key", colspan="3")]
    return element(
        "tr",
        element("td", element("span", word, class_=f"badge {kind}")),
        *names,
        element("td", ago(state.newest_arrival, now), class_="time"),
        element("td", ago(state.listed_at, now), class_="time"),
        element("td", minute(state.complete_from), class_="time"),
        element("td", minute(state.complete_until), class_="time"),
    )


def _shard_state(state: ShardState, promise: Promise, now: float) -> tuple[str, str]:
    if not state.listed_at:
        return "not listed yet", "none"
    if now > fresh_until(state, promise):
        return "behind", "bad"
    return ("quiet", "none") if is_quiet(state, promise.period) else ("on time", "good")


def _ticks(ticks: Sequence[RecordedTick], now: float) -> Markup:
    rows = [
        element(
            "tr",
            element("td", ago(tick.report.started_at, now), class_="time"),
            element("td", tick.kind),
            element(
                "td", tick.report.outcome, element("small", tick.report.error.reason) if tick.report.error else None
            ),
            element("td", f"{tick.report.duration_seconds:.1f} s", class_="number"),
            element("td", f"{tick.report.listed:,}", class_="number"),
            element("td", f"{tick.report.copied:,}", class_="number"),
            element("td", f"{tick.report.failed_count + tick.report.conflict_count:,}", class_="number"),
        )
        for tick in ticks
    ]
    numbers = ("Took", "Listed", "Copied", "Not copied")
    titles = ("Began", "Kind", "Outcome", *numbers)
    heading = element("h2", "Last ticks", id="ticks")
    shown = table(f"The last {len(ticks)}, the newest first", titles, rows, numbers=numbers)
    return join(heading, shown if ticks else element("p", "There was none yet.", class_="soft"))
