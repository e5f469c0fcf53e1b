"""The verbs about the state: rebuild it, export it, manage quarantined objects."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from syncd.cli import streams
from syncd.cli.options import ConfigOption, JobsArgument, JsonOption, StrictOption, load, print_document
from syncd.cli.terminal.help import Verbs
from syncd.daemon import logs
from syncd.job import exit_codes
from syncd.job.exit_codes import DONE, FAILED
from syncd.model.errors import LedgerError
from syncd.model.escaping import key_of, safe_key, safe_line

if TYPE_CHECKING:
    from syncd.config.job import Configuration, Job
    from syncd.job.ledger_verbs import Chosen
    from syncd.ledger.ledger import LedgerFile

app = typer.Typer(
    name="ledger", cls=Verbs, no_args_is_help=True, help="Rebuild or export the state, and manage quarantined objects."
)
quarantine_app = typer.Typer(
    cls=Verbs, no_args_is_help=True, help="List, retry or accept objects that are known but not at the destination."
)
app.add_typer(quarantine_app, name="quarantine")
JobOption = Annotated[list[str] | None, typer.Option("--job", metavar="JOB", help="Only this job; repeatable.")]
KeyArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="KEY",
        help="The object's key in the source as it is shown, or a pattern with *, ? and [...], in quotes: an escape such as"
        " \\u202e stands for an invisible character, and two backslashes for one.",
    ),
]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="REASON", help="Only objects with this reason, such as archived.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Every object in quarantine.")]


@app.command("rebuild")
def ledger_rebuild(
    jobs: JobsArgument = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be forgotten, kept and listed. Changes and asks nothing.")
    ] = False,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Discard what is remembered of copied objects, and rebuild it from the destination's listing.

    The start, the quarantine and what was accepted stay.
    """
    from syncd.job import ledger_verbs, refused
    from syncd.job.installation import Installation

    configuration = load(config, strict=strict)
    chosen = refused.chosen(configuration, jobs)
    if dry_run:
        document = ledger_verbs.rehearse(chosen, _ledger_file(configuration))
    else:
        installation = Installation.of(configuration, now=time.time, tell=logs.event_logger())
        document = ledger_verbs.rebuild(chosen, installation)
    document["jobs"] += refused.refused_rebuilds(refused.refused(configuration, jobs))
    print_document(document, lambda screen: screen.rebuild_table(document), as_json=as_json)
    sys.exit(exit_codes.of_rebuild(document))


@app.command("export")
def ledger_export(
    jobs: JobsArgument = None,
    *,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print every row as JSON, one per line. With --json, print one document."""
    from syncd.job import ledger_verbs, refused

    configuration = load(config, strict=strict)
    rows = ledger_verbs.export(refused.chosen(configuration, jobs), _ledger_file(configuration))
    separator = ""
    sys.stdout.write('{"rows": [' if as_json else "")
    with _state_used("], ", as_json=as_json):
        for row in rows:
            sys.stdout.write(separator + json.dumps(row) + ("" if as_json else "\n"))
            separator = ", " if as_json else ""
            if streams.reader_has_gone():
                break
    left_out = refused.refused(configuration, jobs)
    if as_json:
        sys.stdout.write("], " + json.dumps({**refused.refused_entries(left_out), "error": None})[1:] + "\n")
    sys.exit(exit_codes.with_refused(DONE, left_out))


@quarantine_app.command("list")
def quarantine_list(
    jobs: JobsArgument = None,
    *,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """List failed and conflicting objects: the reason, the attempts, and the next attempt."""
    from syncd.cli.screen import output, tables
    from syncd.job import held_list, refused

    configuration = load(config, strict=strict)
    chosen = refused.chosen(configuration, jobs)
    left_out = refused.refused(configuration, jobs)
    if as_json:
        besides = refused.refused_entries(left_out)
        is_read = held_list.write_held(chosen, _ledger_file(configuration), sys.stdout.write, besides)
        sys.exit(exit_codes.with_refused(DONE, left_out) if is_read else FAILED)
    entries = held_list.held_entries(chosen, _ledger_file(configuration))
    with _state_used("", as_json=False):
        first = next(entries, None)
        if first is None:
            output.show(["the quarantine is empty"])
        else:
            output.show(tables.held_table(chain([first], entries)))
    sys.exit(exit_codes.with_refused(DONE, left_out))


@quarantine_app.command("retry")
def quarantine_retry(
    key: KeyArgument = None,
    *,
    reason: ReasonOption = None,
    everything: AllOption = False,
    job: JobOption = None,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let the next tick try objects again."""
    from syncd.job import ledger_verbs

    chosen = _chosen(key, reason, everything=everything)
    configuration = load(config, strict=strict)
    done = "will be tried again by the next tick of"
    _deal_with(chosen, ledger_verbs.retry, configuration, job, done, as_json=as_json)


@quarantine_app.command("accept")
def quarantine_accept(
    key: KeyArgument = None,
    *,
    reason: ReasonOption = None,
    everything: AllOption = False,
    job: JobOption = None,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Accept conflicting replicas as they are, or objects that the source has deleted."""
    from syncd.job import ledger_verbs

    chosen = _chosen(key, reason, everything=everything)
    configuration = load(config, strict=strict)
    _deal_with(chosen, ledger_verbs.accept, configuration, job, "accepted for", as_json=as_json)


def _chosen(word: str | None, reason: str | None, *, everything: bool) -> "Chosen":
    """Return the objects that the arguments name. Nothing named is a mistake, not everything."""
    from syncd.job.ledger_verbs import Chosen
    from syncd.model.reasons import Reason

    if word is None and reason is None and not everything:
        raise typer.BadParameter("name a key or a pattern, or give --reason or --all", param_hint="KEY")
    if everything and (word is not None or reason is not None):
        raise typer.BadParameter("goes with neither a key nor --reason", param_hint="--all")
    # AWS's own codes are reasons too, and look another way.
    if reason is not None and reason.islower() and reason not in set(Reason):
        raise typer.BadParameter(
            f"{safe_line(reason)} is no reason; `quarantine list` shows them", param_hint="--reason"
        )
    try:
        return Chosen(None if word is None else key_of(word), reason)
    except ValueError as error:
        raise typer.BadParameter(f"{safe_line(word or '')}: {error}", param_hint="KEY") from None


def _ledger_file(configuration: "Configuration") -> "LedgerFile":
    from syncd.ledger.ledger import LedgerFile

    return LedgerFile(configuration.settings.state_dir, now=time.time)


@contextmanager
def _state_used(before: str, *, as_json: bool) -> Iterator[None]:
    """Exit with 1 if the state cannot be used, completing the document that `before` begins."""
    from syncd.job.ledger_verbs import ledger_error

    try:
        yield
    except LedgerError as error:
        if as_json:
            sys.stdout.write(f'{before}"error": {json.dumps(ledger_error(error))}}}\n')
        else:
            sys.stderr.write(f"syncd: {safe_line(str(error))}; {error.remedy}\n")
        sys.exit(FAILED)


def _deal_with(
    chosen: "Chosen",
    do: "Callable[[Sequence[Job], LedgerFile, Chosen], dict[str, Any]]",
    configuration: "Configuration",
    names: list[str] | None,
    done: str,
    *,
    as_json: bool,
) -> NoReturn:
    from syncd.job import refused

    jobs = refused.chosen(configuration, names)
    with _state_used(f'{{"key": {json.dumps(chosen.key)}, "jobs": [], "objects": 0, ', as_json=as_json):
        document = do(jobs, _ledger_file(configuration), chosen)
    error, count = document["error"], document["objects"]
    what = safe_key(chosen.key) if count == 1 and chosen.key is not None else f"{count:,} objects"
    words = error["detail"] if error else f"{what}: {done} {', '.join(document['jobs'])}"
    words += "".join(f"\n{job}: {safe_line(detail)}" for job, detail in document["details"].items())
    left_out = refused.refused(configuration, names)
    document |= refused.refused_entries(left_out)
    print_document(document, lambda _: words.split("\n"), as_json=as_json)
    sys.exit(FAILED if error else exit_codes.with_refused(DONE, left_out))
