"""Dashboard, alerts and operations manual speak of metrics and events that there are."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import reference
import yaml
from deployed import DEPLOY, PROJECT, read_yaml

from syncd.daemon.web.gauges import JOB, Gauges
from syncd.daemon.web.metrics import Metrics
from syncd.model.reasons import Reason
from syncd.model.reports import JobError, SpreadProgress, TickReport
from syncd.spread.metrics import SpreadMetrics

RULES = DEPLOY / "alerts" / "syncd.rules.yaml"
RULE_TESTS = Path(__file__).with_name("syncd.rules.test.yaml")
DASHBOARD = json.loads((DEPLOY / "grafana" / "syncd.json").read_text())
OPERATIONS = (PROJECT / "docs" / "operations.md").read_text()
NAME = re.compile(r"\b(?:syncd|process)_[a-z_]+\b")
LABEL = re.compile(r"label_values\((\w+), (\w+)\)")
ENDINGS = ("_bucket", "_sum", "_count")


def names() -> set[str]:
    """Every metric that daemons, owners and workers tell Prometheus, the parts of histograms included."""
    metrics = Metrics(lambda: Gauges(now=0.0, healths=[]))
    error = JobError(reason="timeout", detail="", remedy="")
    metrics.take_report(TickReport(job="a", outcome="failed", error=error, failed_by_reason={"timeout": 1}))
    owner, worker = SpreadMetrics(), SpreadMetrics()
    owner.take_progress("a", SpreadProgress())
    found = set()
    told = b"".join(item.exposition() for item in (metrics, owner, worker))
    for line in told.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            found |= {name} | ({name + ending for ending in ENDINGS} if kind == "histogram" else set())
    return found


def rules() -> list[Any]:
    return [rule for group in read_yaml(RULES)["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


def anchors(markdown: str) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


def sections() -> dict[str, str]:
    """What the manual says, by heading of the third level."""
    parts = re.split(r"^### (.+)\n", OPERATIONS, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_a_metric_of_an_alert_exists() -> None:
    used = {name for rule in rules() for name in NAME.findall(rule["expr"])}

    assert used - names() == {JOB}


def test_a_metric_of_the_dashboard_exists() -> None:
    used = {name for expression in expressions() for name in NAME.findall(expression)}
    used |= {variable[0] for variable in LABEL.findall(json.dumps(DASHBOARD["templating"]))}

    assert len(expressions()) > 20
    assert used - names() == {JOB}


def test_every_metric_is_in_the_manual() -> None:
    ours = {name for name in names() if name.startswith("syncd_") and not name.endswith(ENDINGS)}

    assert {name for name in ours if f"`{name}" not in OPERATIONS} == set()


def test_the_manual_speaks_of_no_metric_that_there_is_not() -> None:
    spoken_of = set(re.findall(r"`(syncd_[a-z_]+)", OPERATIONS))

    assert spoken_of - names() == {JOB}


def test_copied_objects_are_labelled_by_job_alone() -> None:
    assert "`syncd_objects_copied_total{syncd_job}`" in OPERATIONS


def test_an_alert_says_what_is_wrong_how_bad_it_is_and_where_to_read_on() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert {"summary", "description", "runbook"} == set(rule["annotations"])


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_the_runbook_of_an_alert_is_a_heading_of_the_manual(rule: Any) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")

    assert page == "docs/operations.md"
    assert anchor in anchors(OPERATIONS)


def test_a_link_within_the_manual_leads_to_a_heading() -> None:
    links = re.findall(r"\]\(#([^)]+)\)", OPERATIONS)

    assert len(links) > 10
    assert set(links) - anchors(OPERATIONS) == set()


@pytest.mark.parametrize("event", reference.event_names())
def test_an_event_is_in_the_manual_with_what_it_means_and_what_to_do(event: str) -> None:
    section = sections()[event]

    assert section.count("**Means:** ") == section.count("**Do:** ") == 1


def test_the_manual_speaks_of_no_event_that_there_is_not() -> None:
    events = {heading for heading in sections() if re.fullmatch(r"[a-z_]+\.[a-z_]+", heading)}

    assert events == set(reference.event_names())


@pytest.mark.parametrize("reason", [Reason.ACCESS_DENIED, Reason.KMS_DENIED, "disk_full"])
def test_a_reason_that_the_runbooks_are_about_is_one(reason: str) -> None:
    runbooks = OPERATIONS.partition("## Runbooks")[2].partition("## Starting")[0]

    assert f"`{reason}`" in runbooks


def test_the_panels_of_the_dashboard_are_told_apart_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    cells = [cell for panel in panels for cell in _cells(panel["gridPos"])]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(cells) == len(set(cells))
    assert all(0 <= x < 24 for x, _ in cells)


def test_the_dashboard_works_with_any_data_source_and_says_what_its_panels_show() -> None:
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels)
    assert all(panel["description"] for panel in panels)
    assert "id" not in DASHBOARD


@pytest.mark.needs_tool("promtool")
def test_prometheus_takes_the_rules(tool: Path) -> None:
    run = subprocess.run([tool, "check", "rules", RULES], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.needs_tool("promtool")
def test_alerts_are_raised_when_they_should_be_and_not_otherwise(tool: Path) -> None:
    run = subprocess.run([tool, "test", "rules", RULE_TESTS], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


def test_every_alert_has_a_test() -> None:
    tested = RULE_TESTS.read_text()

    assert [rule["alert"] for rule in rules() if rule["alert"] not in tested] == []


@pytest.mark.needs_tool("promtool")
def test_prometheus_takes_the_expressions_of_the_dashboard(tool: Path, tmp_path: Path) -> None:
    written = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions())
    ]
    path = tmp_path / "dashboard.rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": written}]}))

    run = subprocess.run([tool, "check", "rules", path], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.needs_tool("promtool")
def test_the_panel_says_what_a_month_costs_and_what_another_tool_would(tool: Path, tmp_path: Path) -> None:
    """A tick each five minutes that lists three shards and copies one object, over 2,500 objects."""
    of = 'job="syncd", instance="a:9464"'
    job = f'{of}, syncd_job="account-b"'
    series = {
        f'syncd_price_dollars{{{of}, of="write"}}': "0.000005x1440",
        f'syncd_price_dollars{{{of}, of="read"}}': "0.0000004x1440",
        f'syncd_requests_total{{{job}, operation="ListObjectsV2"}}': "0+0.6x1440",
        f'syncd_requests_total{{{job}, operation="PutObject"}}': "0+0.2x1440",
        f'syncd_requests_total{{{job}, operation="GetObject"}}': "0+0.2x1440",
        f'syncd_requests_total{{{job}, operation="AssumeRole"}}': "0+0.2x1440",
        f'syncd_ticks_total{{{job}, outcome="ok"}}': "0+0.2x1440",
        f"syncd_objects_copied_total{{{job}}}": "0+0.2x1440",
        f"syncd_known_objects{{{job}}}": "2500x1440",
    }
    (panel,) = [panel for panel in DASHBOARD["panels"] if panel["title"] == "Beside aws s3 sync"]
    ours, theirs = (target["expr"].replace("$job", ".*") for target in panel["targets"])
    ticks = 288 * 30
    costs = {ours: ticks * (4 * 0.000005 + 0.0000004), theirs: ticks * (2 * 3 + 1) * 0.000005}
    tests = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f"round({expr}, 0.0001)",
                        "eval_time": "24h",
                        "exp_samples": [{"labels": "{}", "value": round(cost, 4)}],
                    }
                    for expr, cost in costs.items()
                ],
            }
        ],
    }
    path = tmp_path / "cost.test.yaml"
    path.write_text(yaml.safe_dump(tests))

    run = subprocess.run([tool, "test", "rules", path], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.needs_tool("promtool")
def test_prometheus_takes_what_the_daemon_tells_it(tool: Path) -> None:
    metrics = Metrics(lambda: Gauges(now=0.0, healths=[]))

    run = subprocess.run([tool, "check", "metrics"], input=metrics.exposition(), capture_output=True, check=False)

    assert (run.returncode, run.stderr.decode()) == (0, "")


def _cells(position: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(position["x"], position["x"] + position["w"]):
        for y in range(position["y"], position["y"] + position["h"]):
            yield x, y
