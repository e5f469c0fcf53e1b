"""The house rules that a machine can hold."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

PROJECT = Path(__file__).parents[2]
PACKAGE = sorted((PROJECT / "syncd").rglob("*.py"))
TESTS = sorted((PROJECT / "tests").rglob("*.py"))
LONGEST_MODULE = 300
MOST_ENTRIES = 12
LONGEST_FUNCTION = 50
BANNED_WORDS = re.compile("TO" + "DO|FIX" + "ME|X" + "XX|NotImplemented" + "Error")
BANNED_IN_TESTS = re.compile(
    "pytest" + r"\.(skip|xfail|importorskip)|mark\.(skip|xfail)|unittest" + r"\.mock|Magic" + "Mock"
)
NAMELESS = re.compile("manager|helper|util|common|base|misc")


def label(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def test_imports_go_one_way_and_the_core_does_no_io() -> None:
    program = Path(sys.executable).parent / "lint-imports"

    run = subprocess.run([program, "--no-logo", "--no-cache"], cwd=PROJECT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = grimp.build_graph("syncd", cache_dir=None)

    tangled = {
        module
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
        if graph.chain_exists(importer=imported, imported=module)
    }

    assert tangled == set()


@pytest.mark.parametrize("path", PACKAGE, ids=label)
def test_a_module_has_a_name_and_a_docstring_and_an_end(path: Path) -> None:
    text = path.read_text()

    assert not NAMELESS.search(path.stem)
    assert ast.get_docstring(ast.parse(text)) or not text
    assert len(text.splitlines()) <= LONGEST_MODULE


def test_the_package_is_looked_into_room_by_room() -> None:
    assert {path.parent.name for path in PACKAGE} > {"aws", "config", "job", "ledger", "model", "tick", "workers"}


@pytest.mark.parametrize("room", sorted({path.parent for path in PACKAGE}), ids=label)
def test_a_room_says_what_it_is_for_and_has_at_most_twelve_entries(room: Path) -> None:
    entries = {path.relative_to(room).parts[0] for path in PACKAGE if path.is_relative_to(room)} - {
        "__init__.py",
        "__main__.py",
    }
    tree = ast.parse((room / "__init__.py").read_text())

    assert len(entries) <= MOST_ENTRIES
    assert ast.get_docstring(tree)
    assert not [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


def test_no_two_modules_of_tests_have_one_name() -> None:
    names = Counter(path.name for path in TESTS if not (path.parent / "__init__.py").exists())

    assert [name for name, count in names.items() if count > 1 and name.startswith("test_")] == []


@pytest.mark.parametrize("path", [*PACKAGE, *TESTS], ids=label)
def test_nothing_is_left_for_later(path: Path) -> None:
    assert BANNED_WORDS.findall(path.read_text()) == []


@pytest.mark.parametrize("path", [*PACKAGE, *TESTS], ids=label)
def test_nothing_waits_by_sleeping(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]

    assert [call.lineno for call in calls if name_of(call.func) == "sleep"] == []


@pytest.mark.parametrize("path", TESTS, ids=label)
def test_no_test_is_skipped_and_nothing_is_mocked(path: Path) -> None:
    assert BANNED_IN_TESTS.findall(path.read_text()) == []


@pytest.mark.parametrize("path", PACKAGE, ids=label)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    too_long = [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= LONGEST_FUNCTION
    ]

    assert too_long == []


def test_everything_is_caught_only_where_it_would_vanish_otherwise() -> None:
    """In the daemon, where APScheduler swallows it; on threads, which hand it on; around code of others and one job's run."""
    swallowing = {label(path) for path in PACKAGE for handler in handlers(path) if is_broad(handler)}

    assert swallowing <= {
        "syncd/aws/identity/lookups.py",
        "syncd/aws/transport.py",
        "syncd/aws/wire/connection.py",
        "syncd/aws/wire/loop.py",
        "syncd/aws/wire/names.py",
        "syncd/copy/workers/engine.py",
        "syncd/copy/workers/channel.py",
        "syncd/copy/workers/large/relay.py",
        "syncd/copy/workers/process.py",
        "syncd/daemon/ticker.py",
        "syncd/daemon/web/server.py",
        "syncd/job/run.py",
        "syncd/job/wiring.py",
        "syncd/spread/owner.py",
        "syncd/spread/plan.py",
    }


@pytest.mark.parametrize(
    ("header", "home"),
    [
        ("if-none-match", "syncd/copy/write.py"),
        ("x-amz-expected-bucket-owner", "syncd/aws/endpoint.py"),
        ("x-amz-source-expected-bucket-owner", "syncd/aws/s3.py"),
    ],
)
def test_a_header_that_protects_a_bucket_is_set_in_one_place(header: str, home: str) -> None:
    set_in = [
        label(path)
        for path in PACKAGE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and str(node.value).lower() == header
    ]

    assert set_in == [home]


def test_only_one_module_makes_writes() -> None:
    makers = {
        label(path)
        for path in PACKAGE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and name_of(node.func) == "Request"
        and any(isinstance(each, ast.Constant) and each.value in {"PUT", "POST"} for each in node.args)
    }

    # A call to STS is a POST, and writes nothing.
    assert makers == {"syncd/copy/write.py", "syncd/aws/identity/plain/calls.py"}


def test_the_version_is_written_once() -> None:
    assert [label(path) for path in PACKAGE if "__version__ =" in path.read_text()] == ["syncd/__init__.py"]
    assert 'dynamic = ["version"' in (PROJECT / "pyproject.toml").read_text()


def handlers(path: Path) -> Iterator[ast.ExceptHandler]:
    """The except clauses of a module."""
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler))


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether it catches everything and does not raise it again."""
    is_everything = handler.type is None or name_of(handler.type) in {"Exception", "BaseException"}
    return is_everything and not any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def name_of(node: ast.expr | None) -> str:
    """The last part of a dotted name; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
