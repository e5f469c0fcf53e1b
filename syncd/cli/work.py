"""The verb `work`, and the option that spreads a catch-up over workers."""

import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.options import ConfigOption, JsonOption, StrictOption, load
from syncd.daemon import logs
from syncd.model.errors import ConfigError, Problem

if TYPE_CHECKING:
    from syncd.cli.terminal.bars import Bars
    from syncd.config.job import Configuration, Work
    from syncd.job.verbs import OnePlan, OneRun

app = typer.Typer()

SpreadOption = Annotated[
    bool, typer.Option("--spread", help="Let `syncd work` on any number of machines do the days that are sealed.")
]


def require_queues(configuration: "Configuration", what: str) -> "Work":
    """Return the queues of spread catch-ups. Raises ConfigError if there are none."""
    if not configuration.settings.work.is_given:
        message = f"is missing, and {what} needs it; give the URLs of the queues in [work], as `syncd policies --work` makes them"
        raise ConfigError([Problem(str(configuration.files[0]), "work.tasks", message)])
    return configuration.settings.work


def one_run(configuration: "Configuration", bars: "Bars | None", *, is_spread: bool) -> "OneRun":
    """Return what runs one job: the ordinary run, or the owner of a spread catch-up."""
    if not is_spread:
        from syncd.job.run import run_job

        return run_job
    from syncd.spread.owner import spread_job

    everyone = {job.name: job for job in configuration.jobs}
    return partial(spread_job, jobs=everyone, show_tasks=(lambda *_: None) if bars is None else bars.show_tasks)


def one_plan(*, is_spread: bool, with_month: bool) -> "OnePlan":
    """Return what plans one job."""
    if not is_spread:
        from syncd.job.run import plan_job

        return partial(plan_job, with_month=with_month)
    from syncd.spread.plan import plan_spread

    return plan_spread


@app.command("work")
def do_work(
    *,
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="End when no task is left, instead of waiting for more.")
    ] = False,
    config: ConfigOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Do the tasks of spread catch-ups, from the queue in [work], until SIGTERM. Keeps no state."""
    import json

    from syncd.spread.work import work

    configuration = load(config, strict=strict, touches_state=False)
    require_queues(configuration, "work")
    done = work(configuration, until_empty=until_empty, now=time.time, tell=logs.event_logger())
    if as_json:
        sys.stdout.write(json.dumps(done._asdict()) + "\n")
    sys.exit(done.exit_code)
