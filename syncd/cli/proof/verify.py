"""`syncd verify`: CloudTrail's digest chain, checked on the replica."""

import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from syncd.cli.options import (
    PATH,
    account_option,
    config_option,
    from_option,
    jobs_argument,
    json_option,
    keys_option,
    load,
    region_option,
    strict_option,
    to_option,
)
from syncd.cli.terminal.help import examples
from syncd.daemon import logs

if TYPE_CHECKING:
    from syncd.cli.proof.progress import ProgressLine
    from syncd.config.job import Configuration, Job
    from syncd.model.objects import Window


@click.command(
    "verify",
    epilog=examples(
        "syncd verify account-b --from 2026-03-01 --to 2026-03-31", "syncd verify account-b --report ./march"
    ),
)
@jobs_argument
@from_option()
@to_option
@account_option
@region_option
@keys_option
@click.option("--export-keys", metavar="FILE", type=PATH, help="Write the public keys that are known.")
@click.option("--report", metavar="DIR", type=PATH, help="Write JSON, HTML and SHA256SUMS for an auditor.")
@click.option("--timestamp", metavar="URL", help="Have the report stamped by this RFC 3161 authority.")
@click.option("--bundle", metavar="FILE", type=PATH, help="Pack digests, keys and hashes, for --offline.")
@click.option("--offline", metavar="FILE", type=PATH, help="Repeat the verdict of a bundle; no job is read.")
@click.option(
    "--heal/--no-heal",
    default=True,
    show_default=True,
    help="Fetch from the source what a digest names and the replica lacks.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="Replace an altered replica by what its digest vouches for: a newer version, or beside it.",
)
@click.option(
    "--against",
    type=click.Choice(("source",)),
    help="Compare with the source and the ledger instead of digests, whatever the layout.",
)
@click.option(
    "--read-data",
    is_flag=True,
    help="Read every log, and take no hash kept while it was copied. With --against: both sides.",
)
@config_option
@strict_option
@json_option
def verify(
    jobs: Sequence[str],
    *,
    first: str | None,
    last: str | None,
    account: Sequence[str],
    region: Sequence[str],
    keys: Path | None,
    export_keys: Path | None,
    report: Path | None,
    timestamp: str | None,
    bundle: Path | None,
    offline: Path | None,
    heal: bool,
    repair: bool,
    against: str | None,
    read_data: bool,
    config: Path | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Prove from CloudTrail's signed digests that the replica is complete and unaltered."""
    from syncd.cli.proof.progress import ProgressLine
    from syncd.job import refused
    from syncd.verify.session import Files

    files = Files(keys=keys, export_keys=export_keys, report=report, timestamp=timestamp, bundle=bundle)
    if timestamp is not None:
        _require_stamped_report(timestamp, report)
    if repair and (offline is not None or against is not None or not heal):
        raise click.BadParameter("goes with neither --offline, --against nor --no-heal", param_hint="--repair")
    if offline is not None:
        _verify_offline(files, offline, jobs, against, as_json=as_json)
    asked = _asked(first, last, account, region, reads_all=read_data, heals=heal, repairs=repair)
    configuration = load(config, strict=strict)
    chosen = refused.chosen(configuration, jobs)
    shown = ProgressLine(is_shown=not as_json and sys.stderr.isatty())
    if against is not None:
        from syncd.model.objects import Window

        _require_no_digest_options(files, account, region)
        _verify_against(configuration, chosen, Window(first, last), shown, report, read_data=read_data, as_json=as_json)
    _verify(configuration, chosen, asked, files, shown, as_json=as_json)


def _verify(
    configuration: "Configuration", jobs: "list[Job]", asked: Any, files: Any, shown: "ProgressLine", *, as_json: bool
) -> NoReturn:
    from syncd.verify.session import prove

    if files.bundle is not None and len(jobs) != 1:
        raise click.BadParameter("it holds one job: name it", param_hint="--bundle")
    done = prove(configuration, jobs, asked, files, now=time.time, tell=logs.event_logger(), progress=shown)
    shown.end()
    _end(done, as_json=as_json)


def _verify_against(
    configuration: "Configuration",
    jobs: "list[Job]",
    window: "Window",
    shown: "ProgressLine",
    report: Path | None,
    *,
    read_data: bool,
    as_json: bool,
) -> NoReturn:
    from syncd.cli.proof.source import verify_against_source

    code = verify_against_source(
        configuration,
        jobs,
        window=window,
        read_data=read_data,
        report=report,
        as_json=as_json,
        on_progress=shown.add,
    )
    shown.end()
    sys.exit(code)


def _require_stamped_report(url: str, report: Path | None) -> None:
    from syncd.verify.evidence.timestamp import require_url

    if report is None:
        raise click.BadParameter("it stamps a report: give --report", param_hint="--timestamp")
    require_url(url)


def _verify_offline(files: Any, bundle: Path, jobs: Sequence[str], against: str | None, *, as_json: bool) -> NoReturn:
    from syncd.verify.session import prove_offline

    if jobs or files.bundle is not None or against is not None:
        raise click.BadParameter("it reads a bundle, and no job", param_hint="--offline")
    _end(prove_offline(files, bundle), as_json=as_json)


def _require_no_digest_options(files: Any, account: Sequence[str], region: Sequence[str]) -> None:
    given = {
        "--account": account,
        "--region": region,
        "--keys": files.keys,
        "--export-keys": files.export_keys,
        "--bundle": files.bundle,
        "--timestamp": files.timestamp,
    }
    for option, value in given.items():
        if value:
            raise click.BadParameter("is of digests, and does not go with --against", param_hint=option)


def _end(done: Any, *, as_json: bool) -> NoReturn:
    from syncd.cli.proof.showing import show_proof
    from syncd.verify.evidence.document import proof_document
    from syncd.verify.session import proofs_exit_code

    documents = [proof_document(proof) for proof in done.proofs]
    if as_json:
        sys.stdout.write(json.dumps({"jobs": documents}) + "\n")
    else:
        for document in documents:
            show_proof(document)
    sys.exit(done.signal_code or proofs_exit_code(done.proofs))


def _asked(
    first: str | None,
    last: str | None,
    account: Sequence[str],
    region: Sequence[str],
    *,
    reads_all: bool,
    heals: bool,
    repairs: bool,
) -> Any:
    from syncd.config import names as aws_names
    from syncd.model.keys.stamps import DAY_SECONDS
    from syncd.verify.proof import Asked

    now = time.time()
    asked = Asked(
        first=_day_start(first, "--from") if first else 0.0,
        last=min(_day_start(last, "--to") + DAY_SECONDS, now) if last else now,
        accounts=_checked(account, aws_names.check_account_id, "--account"),
        regions=_checked(region, aws_names.check_region, "--region"),
        reads_all=reads_all,
        heals=heals,
        repairs=repairs,
    )
    if asked.last <= asked.first:
        raise click.BadParameter("the span ends before it begins, or has not begun yet", param_hint="--to")
    return asked


def _day_start(text: str, option: str) -> float:
    from syncd.job import verbs

    if not verbs.is_day(text):
        raise click.BadParameter(f"{text!r} is not a day such as 2026-11-24", param_hint=option)
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _checked(names: Sequence[str], check: Any, option: str) -> tuple[str, ...]:
    from syncd.model.keys.trail import EVERY

    for name in names:
        try:
            check(name)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=option) from None
    return tuple(names or (EVERY,))
