"""Where the parts come from: the bill of materials, and the hashes of the lock files beside those of an index."""

import email
import json
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployed import PROJECT

from syncd import __version__

SUPPLY = PROJECT / "supply"
LOCKS = sorted((PROJECT / "requirements").glob("*.txt"))
ONE, TWO, OTHER = "1" * 64, "2" * 64, "3" * 64


def run(script: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, SUPPLY / script, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def bill(*arguments: object) -> Any:
    ran = run("sbom.py", *arguments)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_the_bill_has_every_package_of_the_lock_with_its_hashes(lock: Path) -> None:
    document = bill(lock)

    pinned = re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*?\])?==([^ ;\\]+)", lock.read_text(), re.MULTILINE)
    hashes = re.findall(r"sha256:([0-9a-f]{64})", lock.read_text())
    assert {(item["name"], item["version"]) for item in document["components"]} == set(pinned)
    assert sorted(each["content"] for item in document["components"] for each in item["hashes"]) == sorted(hashes)


def test_the_bill_is_cyclonedx_of_this_version_and_what_runs() -> None:
    document = bill()

    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.5", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document["serialNumber"])
    assert (document["metadata"]["component"]["name"], document["metadata"]["component"]["version"]) == (
        "syncd",
        __version__,
    )
    assert {"boto3", "awscrt", "pydantic"} <= {item["name"] for item in document["components"]}
    assert "pytest" not in {item["name"] for item in document["components"]}


def test_the_bill_tells_what_needs_what() -> None:
    document = bill()
    needs = {item["ref"].split("@")[0]: item["dependsOn"] for item in document["dependencies"]}
    references = {item["bom-ref"] for item in document["components"]}

    assert any(need.startswith("pkg:pypi/boto3@") for need in needs["pkg:pypi/syncd"])
    assert any(need.startswith("pkg:pypi/botocore@") for need in needs["pkg:pypi/boto3"])
    assert {need for found in needs.values() for need in found} == references


def test_the_bill_of_one_lock_is_always_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run("sbom.py", "--output", tmp_path / "dist" / name).returncode == 0

    assert (tmp_path / "dist" / "a").read_bytes() == (tmp_path / "dist" / "b").read_bytes()


def test_a_lock_that_pins_something_without_a_hash_has_no_bill(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text("example==1.0\n")

    assert run("sbom.py", tmp_path / "lock.txt").returncode != 0


class Index(BaseHTTPRequestHandler):
    """A package index: /json and /html have `example` with two files, /bare names no hashes, all else is an error.

    /busy, /short and /cut have a file each, but refuse the first request or break off the first answer.
    """

    def do_GET(self) -> None:
        page = self.path.split("/")[1]
        files = [{"filename": f"example-1.0-{each[0]}.whl", "hashes": {"sha256": each}} for each in (ONE, TWO, OTHER)]
        parts = {"json": files[:2], "busy": files[:1], "short": files[1:2], "cut": files[2:]}
        pages = {
            name: ("application/vnd.pypi.simple.v1+json", json.dumps({"files": has})) for name, has in parts.items()
        }
        pages["html"] = ("text/html", f'<a href="x#sha256={ONE}">x</a><a href="y#sha256={TWO}">y</a>')
        pages["bare"] = ("text/html", '<a href="x">x</a>')
        kind, text = pages.get(page, ("text/plain", "no"))
        met: set[str] = self.server.__dict__.setdefault("met", set())
        fault = page if page not in met else ""
        met.add(page)
        status = 200 if page in pages else 500 if page == "broken" else 404
        self.send_response(503 if fault == "busy" else status)
        self.send_header("Content-Type", kind)
        if fault == "short":
            self.send_header("Content-Length", "1000")
        if fault == "cut":
            self.send_header("Transfer-Encoding", "chunked")
            text = f"3e8\r\n{text}"
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing to the test's output."""


@pytest.fixture
def index() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def lock_of(folder: Path, *hashes: str) -> Path:
    path = folder / "lock.txt"
    path.write_text("example==1.0 \\\n" + " \\\n".join(f"    --hash=sha256:{each}" for each in hashes) + "\n")
    return path


@pytest.mark.parametrize("page", ["json", "html"])
def test_hashes_that_the_index_has_are_right(tmp_path: Path, index: str, page: str) -> None:
    ran = run("check_locks.py", lock_of(tmp_path, ONE, TWO), "--index", f"{index}/{page}")

    assert (ran.returncode, ran.stdout) == (0, "2 hashes of 1 lock files compared, 0 problems\n"), ran.stderr


def test_a_package_may_be_at_another_index(tmp_path: Path, index: str) -> None:
    ran = run("check_locks.py", lock_of(tmp_path, ONE), "--index", f"{index}/none", "--index", f"{index}/json")

    assert ran.returncode == 0


@pytest.mark.parametrize(
    ("hashes", "page", "words"),
    [
        ((ONE, OTHER), "json", f"no index has a file of sha256:{OTHER}"),
        ((ONE,), "none", f"no index has a file of sha256:{ONE}"),
        ((ONE,), "bare", "its page names no SHA-256"),
        ((ONE,), "broken", "HTTP status 500"),
    ],
)
def test_what_differs_and_what_cannot_be_compared_is_a_failure(
    tmp_path: Path, index: str, hashes: tuple[str, ...], page: str, words: str
) -> None:
    ran = run("check_locks.py", lock_of(tmp_path, *hashes), "--index", f"{index}/{page}")

    assert ran.returncode == 1
    assert words in ran.stderr


def test_an_index_that_cannot_be_reached_is_a_failure(tmp_path: Path) -> None:
    ran = run("check_locks.py", lock_of(tmp_path, ONE), "--index", "http://127.0.0.1:1/simple")

    assert ran.returncode == 1
    assert ran.stderr.startswith("no package index can be asked, so nothing was compared: example: ")
    assert "cannot be compared" in ran.stderr
    assert "no index has a file" not in ran.stderr


def test_one_index_that_cannot_be_reached_is_no_failure_if_another_has_the_files(tmp_path: Path, index: str) -> None:
    ran = run("check_locks.py", lock_of(tmp_path, ONE), "--index", "http://127.0.0.1:1/s", "--index", f"{index}/json")

    assert ran.returncode == 0


def test_an_index_that_is_busy_or_breaks_off_for_a_moment_is_asked_again(tmp_path: Path, index: str) -> None:
    indexes = [word for page in ("busy", "short", "cut") for word in ("--index", f"{index}/{page}")]

    ran = run("check_locks.py", lock_of(tmp_path, ONE, TWO, OTHER), *indexes, "--tries", 2)

    assert ran.returncode == 0, ran.stderr


def test_ci_compares_the_hashes_beside_the_tests() -> None:
    ci = (PROJECT / ".ci" / "run").read_text()

    assert ci.splitlines()[-1] == "exec make --keep-going hashes .venv/.docs test"


def test_every_lock_file_is_understood_to_the_last_line() -> None:
    assert {path.name for path in LOCKS} == {
        "runtime.txt",
        "demo.txt",
        "test.txt",
        "bench.txt",
        "build.txt",
        "docs.txt",
        "release.txt",
    }
    for lock in LOCKS:
        assert bill(lock)["components"]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two builds of what a release holds, without the Debian package, which `make packages` builds."""
    folders = [tmp_path_factory.mktemp("release") / name for name in ("one", "two")]
    for folder in folders:
        url = ("--url", "https://git.example.com/owner/syncd")
        ran = run("release.py", "--output", folder, "--without-deb", *url)
        assert ran.returncode == 0, ran.stderr
    return folders


def test_two_builds_of_a_release_are_the_same_bytes(releases: list[Path]) -> None:
    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in releases)

    assert {name for name in one if one[name] != two.get(name)} == set()
    assert (
        set(one)
        == set(two)
        == {
            f"syncd-{__version__}-py3-none-any.whl",
            f"syncd-{__version__}.tar.gz",
            f"syncd-{__version__}.cdx.json",
            f"syncd-chart-{__version__}.tgz",
            "RELEASE_NOTES.md",
            "SHA256SUMS",
        }
    )


def test_the_wheel_says_who_it_is_for_and_has_the_templates_of_the_pages(releases: list[Path]) -> None:
    (wheel,) = releases[0].glob("*.whl")
    packed = zipfile.ZipFile(wheel)
    metadata = email.message_from_bytes(packed.read(f"syncd-{__version__}.dist-info/METADATA"))

    templates = (PROJECT / "syncd" / "daemon" / "web" / "templates").iterdir()
    assert {path.relative_to(PROJECT) for path in templates} <= {Path(name) for name in packed.namelist()}
    urls = dict(str(each).split(", ") for each in metadata.get_all("Project-URL", []))
    assert urls["Source"] == "https://git.example.com/owner/syncd"
    assert {"Documentation", "Changelog", "Issues", "Security"} <= set(urls)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert f"Programming Language :: Python :: {sys.version_info.major}.{sys.version_info.minor}" in (
        metadata.get_all("Classifier") or []
    )
    needed = {
        re.split(r"[<>=; \[]", each)[0] for each in metadata.get_all("Requires-Dist", []) if "extra ==" not in each
    }
    assert {"boto3", "awscrt", "pydantic", "cryptography"} <= needed


def test_the_sdist_has_what_the_manuals_speak_of(releases: list[Path]) -> None:
    with tarfile.open(releases[0] / f"syncd-{__version__}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"LICENSE", "requirements/runtime.txt", "deploy/systemd/syncd.service", "supply/deb.py"} <= names
    assert {"tools/manpage.py", "docs/index.md", "Makefile"} <= names


def test_the_chart_of_a_release_is_that_of_the_version_and_holds_nothing_that_is_not_in_git(
    releases: list[Path],
) -> None:
    with tarfile.open(releases[0] / f"syncd-chart-{__version__}.tgz") as archive:
        names, about = archive.getnames(), archive.extractfile("syncd/Chart.yaml")
        assert about is not None
        described = yaml.safe_load(about)

    assert (described["version"], described["appVersion"]) == (__version__, __version__)
    assert names[0] == "syncd/Chart.yaml"
    assert {"syncd/values.yaml", "syncd/templates/deployment.yaml"} <= set(names)


def test_the_notes_of_a_release_are_the_changelogs_and_the_sums_are_right(releases: list[Path]) -> None:
    notes = (releases[0] / "RELEASE_NOTES.md").read_text()
    check = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=releases[0], check=False)

    assert notes.startswith(f"# syncd {__version__}\n\n### Added")
    assert notes.count("\n## ") == 1
    assert check.returncode == 0


def test_a_release_into_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.whl").touch()

    ran = run("release.py", "--output", tmp_path, "--without-deb")

    assert ran.returncode == 2
    assert "is not empty (old.whl)" in ran.stderr
