"""The tables of calls to the outside: `[webhooks]` of a job, and who a call is for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field

from syncd.config import fields
from syncd.config.fields import Words
from syncd.config.tables.table import Table
from syncd.config.words import Finding

JOB_IN_URL = "{job}"
PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"

Happening = Literal["start", "ok", "fail", "conflict", "recovered"]
Happenings = Annotated[
    tuple[Happening, ...],
    AfterValidator(lambda items: tuple(dict.fromkeys(items))),
    Words(
        'list of "start", "ok", "fail", "conflict", "recovered"',
        show=lambda items: f"[{', '.join(f'{chr(34)}{item}{chr(34)}' for item in items)}]",
        remedy="write it in [ ]",
    ),
]
_TROUBLE: tuple[Happening, ...] = ("fail", "conflict", "recovered")


class Address(NamedTuple):
    """The place of a URL or a key: itself, or a file that holds it. Either is a secret."""

    text: str | None
    file: Path | None

    @property
    def is_given(self) -> bool:
        """True if there is one."""
        return self.text is not None or self.file is not None


class Webhook(Table):
    """One table of `[webhooks]`."""

    url: fields.Url | None = Field(None, repr=False, description="URL that is called; {job} is the job's name")
    url_file: fields.FilePath | None = Field(None, description="file that holds the URL, read at each call")
    on: Happenings = Field(_TROUBLE, description="what it is called for")

    @property
    def address(self) -> Address:
        """The place of the URL."""
        return Address(self.url, self.url_file)


class Healthchecks(Webhook):
    """`[webhooks.healthchecks]`: URL/start, URL and URL/fail, as healthchecks.io takes them."""

    on: Happenings = Field(("start", "ok", "fail"), description="what it is called for, at each tick")


class PagerDuty(Table):
    """`[webhooks.pagerduty]`: the Events API v2."""

    url: fields.Url = Field(PAGERDUTY, repr=False, description="URL of the Events API")
    key_file: fields.FilePath | None = Field(None, description="file that holds the integration (routing) key")
    on: Happenings = Field(_TROUBLE, description="what it is called for")

    @property
    def address(self) -> Address:
        """The place of the URL."""
        return Address(self.url, None)


class Webhooks(Table):
    """`[webhooks]` of a job."""

    healthchecks: Healthchecks = Healthchecks.model_construct()
    slack: Webhook = Webhook.model_construct()
    pagerduty: PagerDuty = PagerDuty.model_construct()
    json_: Webhook = Field(Webhook.model_construct(), alias="json")


_BOTH = "and the key without _file exclude each other; remove one of them"


def heartbeat_is_named_once(table: Any) -> Iterator[Finding]:
    """Refuse a URL in the file and beside it."""
    if table.heartbeat_url is not None and table.heartbeat_url_file is not None:
        yield Finding("heartbeat_url_file", _BOTH)


def calls_are_whole(job: Any) -> Iterator[Finding]:
    """Require one place for each URL."""
    yield from heartbeat_is_named_once(job)
    hooks = job.webhooks
    for name, hook in (("healthchecks", hooks.healthchecks), ("slack", hooks.slack), ("json", hooks.json_)):
        if hook.url is not None and hook.url_file is not None:
            yield Finding(f"webhooks.{name}.url_file", _BOTH)
        if not hook.address.is_given and "on" in hook.model_fields_set and hook.on:
            yield Finding(f"webhooks.{name}.url_file", "is missing: name the file that holds the URL, or give the url")
    duty = hooks.pagerduty
    if duty.key_file is None and duty.model_fields_set & {"on", "url"} and duty.on:
        yield Finding("webhooks.pagerduty.key_file", "is missing: name the file that holds the integration key")
