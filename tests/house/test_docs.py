"""The documents say what the code does, and lead somewhere."""

import re
from pathlib import Path
from typing import Any

import pytest
import reference
from reference_words import DOCUMENTS, EXIT_CODES

from syncd.aws.policies import files as policy_files
from syncd.check import result
from syncd.check.result import JobChecks
from syncd.cli.demo.demo import document
from syncd.config import files
from syncd.config.files import load
from syncd.config.job import schema_rows
from syncd.job import exit_codes, verbs
from syncd.job.health import status
from syncd.job.planning import PlannedCopies
from syncd.job.report import report_document
from syncd.model.reports import JobError, TickReport

PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"
README = (PROJECT / "README.md").read_text()
REFERENCE = (DOCS / "reference.md").read_text()
ARCHITECTURE = (DOCS / "architecture.md").read_text()
OPERATIONS = (DOCS / "operations.md").read_text()
PAGES = sorted(
    [*DOCS.rglob("*.md"), *(PROJECT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY"))],
)
ADRS = sorted((DOCS / "adr").glob("*.md"))
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FAILED = TickReport(
    job="a", outcome="failed", worst_lateness_seconds=1.0, error=JobError(reason="r", detail="d", remedy="m")
)
VERBS = reference.verbs()


def fields(verb: str) -> set[str]:
    """What the reference says is in the `--json` of a verb."""
    return set(DOCUMENTS[verb][1])


def test_the_reference_is_what_the_code_says() -> None:
    assert reference.reference() == REFERENCE, "make docs"


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_and_its_flags_are_in_the_reference(verb: str) -> None:
    section = REFERENCE.split(f"\n### syncd {verb}\n")[1].split("\n### ")[0]

    assert VERBS[verb].help
    assert all(f"`{flag}" in section for flag in reference.flags(VERBS[verb]))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_says_what_each_of_its_flags_does(verb: str) -> None:
    options = [item for item in VERBS[verb].params if item.param_type_name == "option"]

    assert [item.name for item in options if not item.help] == []


def test_every_verb_that_writes_json_has_its_document_described() -> None:
    verbs = {verb for verb, command in VERBS.items() if "--json" in reference.flags(command)}

    assert verbs == set(DOCUMENTS)


def test_the_document_of_a_tick_has_the_fields_that_the_reference_names() -> None:
    assert set(report_document(FAILED)) == fields("tick")


def test_the_document_of_a_plan_has_the_fields_that_the_reference_names() -> None:
    (job,) = verbs.plans_document([(FAILED, PlannedCopies())])["jobs"]

    assert set(job) == fields("plan")


def test_the_document_of_a_status_has_the_fields_that_the_reference_names(tmp_path: Path) -> None:
    configuration = load(written(tmp_path, readme_block("toml")))

    (job,) = status.status_document(configuration, configuration.jobs, now=1.0)["jobs"]

    assert set(job) == fields("status")


def test_the_document_of_a_check_has_the_fields_that_the_reference_names() -> None:
    (job,) = result.checks_document([JobChecks("a", [])])["jobs"]

    assert set(job) == fields("check")


def test_the_document_of_the_policies_has_the_fields_that_the_reference_names(tmp_path: Path) -> None:
    (job,) = load(written(tmp_path, readme_block("toml"))).jobs

    assert set(policy_files.policies_document(job, [], None, policy_files.Format.JSON)) == fields("policies")


def test_the_document_of_the_demo_has_the_fields_that_the_reference_names() -> None:
    assert set(document([], seconds=0.0)) | {"kept"} == fields("demo")


@pytest.mark.parametrize("row", schema_rows(), ids=lambda row: f"{row.file}:{row.table}.{row.key}")
def test_a_key_of_the_configuration_is_in_the_reference_and_says_what_it_is(row: Any) -> None:
    assert row.description
    assert f"| `{row.key}` | {row.type} |" in REFERENCE


@pytest.mark.parametrize("name", reference.event_names())
def test_a_log_event_is_in_the_reference_which_leads_to_what_it_means(name: str) -> None:
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", name)
    assert f"- [`{name}`](operations.md#{name.replace('.', '')})\n" in REFERENCE
    assert re.search(rf"^#+ `?{re.escape(name)}`?$", OPERATIONS, re.MULTILINE)


@pytest.mark.parametrize("reason", reference.reasons())
def test_a_reason_is_in_the_reference_with_its_remedy(reason: str) -> None:
    assert f"| `{reason}` | {reference.reasons()[reason]} |" in REFERENCE


def test_the_exit_codes_of_the_code_are_those_of_the_reference() -> None:
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and not name.startswith("_")}

    assert {code for code in EXIT_CODES if isinstance(code, int)} == codes


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_a_link_leads_to_something(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_row_of_the_threat_model_names_a_test_that_there_is() -> None:
    table = (PROJECT / "SECURITY.md").read_text().partition("\n## Threat model\n")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ") and not line.endswith("| test |")]
    rows = [line.split(" | ") for line in lines]
    tests = [re.findall(r"`(tests/[\w/.]+)`", row[-1]) for row in rows]

    assert [len(row) for row in rows] == [4] * len(rows)
    assert all(tests)
    assert [path for named in tests for path in named if not (PROJECT / path).exists()] == []


def test_how_to_report_and_what_is_supported_is_told() -> None:
    headings = re.findall(r"^## (.+)$", (PROJECT / "SECURITY.md").read_text(), re.MULTILINE)

    assert headings[:2] == ["Reporting", "Supported versions"]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 120


def test_contributing_fits_a_page() -> None:
    assert len((PROJECT / "CONTRIBUTING.md").read_text().splitlines()) <= 80


def test_every_file_that_the_architecture_names_is_there() -> None:
    named = re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", ARCHITECTURE)

    assert [path for path in named if not (PROJECT / "syncd" / path).exists()] == []


def test_the_architecture_says_where_25_behaviours_are_and_shows_every_room() -> None:
    rooms = {path.parent.name for path in (PROJECT / "syncd").glob("*/__init__.py")}
    table = ARCHITECTURE.partition("\n## Where things are\n")[2]

    assert len(re.findall(r"^\| .* \| `[\w/]+\.py` \| (?:yes|no)\b", table, re.MULTILINE)) == 25
    assert rooms == set(re.findall(r"^\| `(\w+)/` \|", ARCHITECTURE, re.MULTILINE))


def test_the_configuration_in_the_readme_loads(tmp_path: Path) -> None:
    configuration = load(written(tmp_path, readme_block("toml")))

    assert [job.name for job in configuration.jobs] == ["account-b"]


def test_the_commands_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    verbs = {verb.split()[0] for verb in VERBS}

    assert set(re.findall(r"\bmake ([a-z]+)\b", README)) <= targets
    assert set(re.findall(r"(?:^|`)syncd ([a-z-]+)", README, re.MULTILINE)) <= verbs


def test_decisions_are_numbered_without_a_gap_and_fit_on_a_screen() -> None:
    assert [int(adr.name[:4]) for adr in ADRS] == list(range(1, len(ADRS) + 1))
    assert [adr.name for adr in ADRS if len(adr.read_text().splitlines()) > 40] == []


@pytest.mark.parametrize("adr", ADRS, ids=lambda adr: adr.stem)
def test_a_decision_says_why_and_what_was_rejected(adr: Path) -> None:
    headings = re.findall(r"^## (.+)$", adr.read_text(), re.MULTILINE)

    assert headings == ["Context", "Decision", "Consequences", "Rejected"]


def test_the_lock_files_name_no_index_and_pin_every_package_by_hash() -> None:
    locks = {path.name: path.read_text() for path in (PROJECT / "requirements").glob("*.txt")}

    assert {"runtime.txt", "demo.txt", "test.txt", "bench.txt", "build.txt", "docs.txt"} <= set(locks)
    for text in locks.values():
        assert not re.search(r"^\s*-|://|@ ?file", text.replace("    --hash=sha256:", ""), re.MULTILINE)
        assert all(line.endswith(" \\") for line in text.splitlines() if "==" in line)


def readme_block(language: str) -> str:
    """The first code block of that language in the README."""
    found = re.search(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def written(folder: Path, job: str) -> Path:
    """A configuration with the one job, as the README has it."""
    (folder / "jobs.d").mkdir()
    (folder / "jobs.d" / "account-b.toml").write_text(job)
    path = folder / "syncd.toml"
    path.write_text(f'state_dir = "{folder / "state"}"\njobs = ["jobs.d/*.toml"]\n')
    assert files.find(path, {}) == path
    return path
