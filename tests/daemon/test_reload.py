"""Noticing an edit, and what it means."""

import os
import time
from pathlib import Path

import pytest
from builders import toml
from jobs import job

from syncd.config import files
from syncd.config.job import Configuration
from syncd.daemon.reload import ConfigWatch, job_changes, reread
from syncd.model.errors import ConfigError

JOB = {
    "name": "account-b",
    "consumer": {"account_id": "222222222222"},
    "source": {"account_id": "111111111111", "bucket": "example-trail", "region": "us-east-1"},
    "destination": {"bucket": "example-b-logs", "region": "us-east-1"},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "jobs.d").mkdir()
    (tmp_path / "syncd.toml").write_text('state_dir = "state"\n')
    (tmp_path / "jobs.d" / "b.toml").write_text(toml(JOB))
    # Some kernels tell only times apart that are four milliseconds from each other.
    os.utime(tmp_path / "jobs.d", ns=(1, 1))
    # However long a test takes, no edit is a second old.
    monkeypatch.setattr("syncd.daemon.reload.time_ns", lambda: 0)
    return tmp_path


@pytest.fixture
def loaded(folder: Path) -> Configuration:
    return files.load(folder / "syncd.toml")


@pytest.fixture
def watch(loaded: Configuration) -> ConfigWatch:
    return ConfigWatch(loaded, cpu_clock=lambda: 0.0)


def test_files_that_stay_as_they_are_are_no_edit(watch: ConfigWatch, loaded: Configuration) -> None:
    assert [watch.is_due(loaded) for _ in range(3)] == [False, False, False]


def test_an_edit_is_due_when_it_has_come_to_rest(watch: ConfigWatch, loaded: Configuration, folder: Path) -> None:
    (folder / "jobs.d" / "b.toml").write_text(toml(JOB) + "# one\n")
    first = watch.is_due(loaded)
    (folder / "jobs.d" / "b.toml").write_text(toml(JOB) + "# one, two\n")
    second = watch.is_due(loaded)

    assert (first, second, watch.is_due(loaded)) == (False, False, True)


@pytest.mark.parametrize("edit", ["add", "remove", "touch", "replace", "top"])
def test_every_kind_of_edit_is_noticed(watch: ConfigWatch, loaded: Configuration, folder: Path, edit: str) -> None:
    path = folder / "jobs.d" / "b.toml"
    match edit:
        case "add":
            (folder / "jobs.d" / "c.toml").write_text(toml(JOB))
        case "remove":
            path.unlink()
        case "touch":
            os.utime(path, ns=(1, 1))
        case "replace":
            status = path.stat()
            (folder / "new").write_text(path.read_text())
            os.utime(folder / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
            (folder / "new").rename(path)
        case "top":
            (folder / "syncd.toml").unlink()

    assert [watch.is_due(loaded), watch.is_due(loaded)] == [False, True]


def test_what_was_read_is_no_edit_any_more_even_if_it_was_refused(
    watch: ConfigWatch, loaded: Configuration, folder: Path
) -> None:
    (folder / "jobs.d" / "b.toml").write_text("broken = ")
    watch.begin(loaded)

    watch.note(loaded)

    assert [watch.is_due(loaded), watch.is_due(loaded)] == [False, False]


def test_an_edit_while_the_files_were_read_still_counts(
    watch: ConfigWatch, loaded: Configuration, folder: Path
) -> None:
    watch.begin(loaded)
    (folder / "jobs.d" / "b.toml").write_text(toml(JOB) + "# late\n")

    watch.note(loaded)

    assert watch.is_due(loaded)


class Effort:
    """Clocks on which each look takes a second of the processor, until it is told otherwise."""

    def __init__(self) -> None:
        self.at = 0.0
        self.spent = 0.0

    def now(self) -> float:
        return self.at

    def cpu(self) -> float:
        self.spent += 0.5
        return self.spent


@pytest.mark.parametrize(("edit", "due_after", "spent"), [("in place", 51 + 6, 2.0), ("new file", 6 + 6, 2.5)])
def test_looking_takes_a_hundredth_of_a_core_and_a_tenth_while_something_changes(
    edit: str, due_after: int, spent: float, loaded: Configuration, folder: Path
) -> None:
    effort = Effort()
    watch = ConfigWatch(loaded, clock=effort.now, cpu_clock=effort.cpu)
    assert not watch.is_due(loaded)
    before = effort.spent
    path = folder / "jobs.d" / ("b.toml" if edit == "in place" else "c.toml")
    path.write_text(toml(JOB) + "# more\n")

    while not watch.is_due(loaded):
        effort.at += 1.0
        assert effort.at < 1000

    assert effort.at <= due_after
    assert effort.spent - before == spent


def test_only_files_that_changed_are_read_again_unless_all_are_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, same = folder / "jobs.d" / "b.toml", folder / "jobs.d" / "c.toml"
    other = {**JOB, "name": "account-c", "destination": {**JOB["destination"], "prefix": "c/"}}
    same.write_text(toml(other))
    # A file that was edited within the last second is read again.
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 2 * 10**9)
    before = files.load(folder / "syncd.toml")
    changed.write_text(toml({**JOB, "every": "7m"}))

    after = reread(before, anew=False)
    anew = reread(after, anew=True)
    (folder / "syncd.toml").write_text('state_dir = "state"\n[defaults]\nevery = "9m"\n')
    defaulted = reread(after, anew=False)

    assert [job.period.total_seconds() for job in after.jobs] == [420, 300]
    assert after.jobs[1] is before.jobs[1]
    assert anew.jobs == after.jobs
    assert anew.jobs[1] is not after.jobs[1]
    assert [job.period.total_seconds() for job in defaulted.jobs] == [420, 540]


def test_jobs_are_added_changed_and_removed_and_the_others_are_in_no_list() -> None:
    before = [job("same"), job("changed"), job("removed")]
    after = [job("changed", every="7m"), job("same"), job("added")]

    found = job_changes(before, after)

    assert [item.name for item in found.added] == ["added"]
    assert [item.name for item in found.changed] == ["changed"]
    assert found.changed[0].period.total_seconds() == 420
    assert list(found.removed) == ["removed"]


@pytest.mark.parametrize(
    ("edit", "key"),
    [
        ('state_dir = "elsewhere"\n', "state_dir"),
        ('state_dir = "state"\n[engine]\nworkers = 2\n', "engine"),
        ('state_dir = "state"\n[engine]\nrequests_per_second = 100\n', "engine"),
    ],
)
def test_what_a_daemon_cannot_change_while_it_runs_is_refused(
    loaded: Configuration, folder: Path, edit: str, key: str
) -> None:
    (folder / "syncd.toml").write_text(edit)

    with pytest.raises(ConfigError) as caught:
        reread(loaded, anew=False)

    (problem,) = caught.value.problems
    assert (problem.key, "restart" in problem.message) == (key, True)
