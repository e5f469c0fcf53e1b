"""Rules of syncd.toml that concern several keys. Pure."""

from collections.abc import Iterator

from syncd.config.addresses import is_loopback, split_address
from syncd.config.tables.files import SettingsTable
from syncd.config.tables.webhooks import heartbeat_is_named_once
from syncd.config.words import Finding, shown


def listen_locally(settings: SettingsTable) -> Iterator[Finding]:
    """Require permission to offer metrics to other machines."""
    http = settings.http
    for key, address in (("http.listen", http.listen), ("work.metrics_listen", settings.work.metrics_listen)):
        if address and not is_loopback(split_address(address)[0]) and not http.allow_remote:
            yield Finding(
                key,
                f"{shown(address)} can be reached from other machines;"
                " listen on 127.0.0.1, or say allow_remote = true in [http]",
            )


def work_has_both_queues(settings: SettingsTable) -> Iterator[Finding]:
    """Require the queue of results beside that of tasks."""
    work = settings.work
    if work.tasks is not None and work.results is None:
        yield Finding("work.results", "is missing, and work.tasks is given; give the URL of the queue of results")
    if work.tasks is None and (work.results is not None or work.dead is not None):
        yield Finding("work.tasks", "is missing, and other queues are given; give the URL of the queue of tasks")


def queues_differ(settings: SettingsTable) -> Iterator[Finding]:
    """Refuse a queue of two purposes, whose receivers would take each other's messages."""
    taken = dict.fromkeys(settings.hints.queues, "hints.queues")
    for key, queue in settings.work.queues.items():
        if queue in taken:
            yield Finding(
                f"work.{key}", f"{shown(queue)} is in {taken[queue]} too; give each purpose a queue of its own"
            )
        taken[queue] = f"work.{key}"


SETTINGS_RULES = (listen_locally, work_has_both_queues, queues_differ, heartbeat_is_named_once)
