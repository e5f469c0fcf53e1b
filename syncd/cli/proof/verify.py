"""`syncd verify`: CloudTrail's digest chain, checked on the replica."""

import json
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from syncd.cli.options import ConfigOption, JobsArgument, JsonOption, StrictOption, load
from syncd.daemon import logs
from syncd.model.keys.stamps import DAY_SECONDS
from syncd.model.keys.trail import EVERY
from syncd.model.objects import Window

if TYPE_CHECKING:
    from syncd.cli.proof.progress import ProgressLine
    from syncd.config.job import Configuration, Job


app = typer.Typer()


class Against(StrEnum):
    """The side that a replica may be compared with."""

    SOURCE = "source"


FromOption = Annotated[str | None, typer.Option("--from", metavar="DAY", help="The first UTC day, YYYY-MM-DD.")]
ToOption = Annotated[str | None, typer.Option("--to", metavar="DAY", help="The last UTC day, inclusive.")]
AccountOption = Annotated[
    list[str] | None, typer.Option("--account", metavar="ID", help="Only this account; repeatable.")
]
RegionOption = Annotated[list[str] | None, typer.Option("--region", metavar="R", help="Only this region; repeatable.")]
KeysOption = Annotated[
    Path | None, typer.Option("--keys", metavar="FILE", help="Use these public keys, and ask AWS for none.")
]
ExportKeysOption = Annotated[
    Path | None, typer.Option("--export-keys", metavar="FILE", help="Write the public keys that are known.")
]
ReportOption = Annotated[
    Path | None, typer.Option("--report", metavar="DIR", help="Write JSON, HTML and SHA256SUMS for an auditor.")
]
BundleOption = Annotated[
    Path | None, typer.Option("--bundle", metavar="FILE", help="Pack digests, keys and hashes, for --offline.")
]
TimestampOption = Annotated[
    str | None,
    typer.Option("--timestamp", metavar="URL", help="Have the report stamped by this RFC 3161 authority."),
]
OfflineOption = Annotated[
    Path | None, typer.Option("--offline", metavar="FILE", help="Repeat the verdict of a bundle; no job is read.")
]
HealOption = Annotated[bool, typer.Option(help="Fetch from the source what a digest names and the replica lacks.")]
RepairOption = Annotated[
    bool,
    typer.Option(
        "--repair", help="Replace an altered replica by what its digest vouches for: a newer version, or beside it."
    ),
]
AgainstOption = Annotated[
    Against | None,
    typer.Option("--against", help="Compare with the source and the ledger instead of digests, whatever the layout."),
]
ReadDataOption = Annotated[
    bool,
    typer.Option(
        "--read-data", help="Read every log, and take no hash kept while it was copied. With --against: both sides."
    ),
]


@app.command()
def verify(
    jobs: JobsArgument = None,
    *,
    first: FromOption = None,
    last: ToOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    keys: KeysOption = None,
    export_keys: ExportKeysOption = None,
    report: ReportOption = None,
    timestamp: TimestampOption = None,
    bundle: BundleOption = None,
    offline: OfflineOption = None,
    heal: HealOption = True,
    repair: RepairOption = False,
    against: AgainstOption = None,
    read_data: ReadDataOption = False,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Prove from CloudTrail's signed digests that the replica is complete and unaltered."""
    from syncd.cli.proof.progress import ProgressLine
    from syncd.job import refused
    from syncd.verify.session import Files

    files = Files(keys=keys, export_keys=export_keys, report=report, timestamp=timestamp, bundle=bundle)
    if timestamp is not None:
        _require_stamped_report(timestamp, report)
    if repair and (offline is not None or against is not None or not heal):
        raise typer.BadParameter("goes with neither --offline, --against nor --no-heal", param_hint="--repair")
    if offline is not None:
        _verify_offline(files, offline, jobs, against, as_json=as_json)
    asked = _asked(first, last, account, region, reads_all=read_data, heals=heal, repairs=repair)
    configuration = load(config, strict=strict)
    chosen = refused.chosen(configuration, jobs)
    shown = ProgressLine(is_shown=not as_json and sys.stderr.isatty())
    if against is not None:
        _require_no_digest_options(files, account, region)
        _verify_against(configuration, chosen, Window(first, last), shown, report, read_data=read_data, as_json=as_json)
    _verify(configuration, chosen, asked, files, shown, as_json=as_json)


def _verify(
    configuration: "Configuration", jobs: "list[Job]", asked: Any, files: Any, shown: "ProgressLine", *, as_json: bool
) -> NoReturn:
    from syncd.verify.session import prove

    if files.bundle is not None and len(jobs) != 1:
        raise typer.BadParameter("it holds one job: name it", param_hint="--bundle")
    done = prove(configuration, jobs, asked, files, now=time.time, tell=logs.event_logger(), progress=shown)
    shown.end()
    _end(done, as_json=as_json)


def _verify_against(
    configuration: "Configuration",
    jobs: "list[Job]",
    window: Window,
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
        raise typer.BadParameter("it stamps a report: give --report", param_hint="--timestamp")
    require_url(url)


def _verify_offline(
    files: Any, bundle: Path, jobs: list[str] | None, against: Against | None, *, as_json: bool
) -> NoReturn:
    from syncd.verify.session import prove_offline

    if jobs or files.bundle is not None or against is not None:
        raise typer.BadParameter("it reads a bundle, and no job", param_hint="--offline")
    _end(prove_offline(files, bundle), as_json=as_json)


def _require_no_digest_options(files: Any, account: list[str] | None, region: list[str] | None) -> None:
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
            raise typer.BadParameter("is of digests, and does not go with --against", param_hint=option)


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
    account: list[str] | None,
    region: list[str] | None,
    *,
    reads_all: bool,
    heals: bool,
    repairs: bool,
) -> Any:
    from syncd.config import names as aws_names
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
        raise typer.BadParameter("the span ends before it begins, or has not begun yet", param_hint="--to")
    return asked


def _day_start(text: str, option: str) -> float:
    from syncd.job import verbs

    if not verbs.is_day(text):
        raise typer.BadParameter(f"{text!r} is not a day such as 2026-11-24", param_hint=option)
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _checked(names: list[str] | None, check: Any, option: str) -> tuple[str, ...]:
    for name in names or ():
        try:
            check(name)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint=option) from None
    return tuple(names or (EVERY,))
