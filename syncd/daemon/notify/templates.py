"""The requests of webhooks, as each service takes them. Pure."""

import json
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from syncd.config.tables.webhooks import Happening
from syncd.model.escaping import safe_line

_LONGEST_SUMMARY = 1024
_JSON = {"Content-Type": "application/json"}
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class News:
    """One thing that happened to a job. The fields are those of the JSON."""

    event: Happening
    job: str
    account_id: str
    at: str | None
    health: str = ""
    outcome: str = ""
    reason: str = ""
    detail: str = ""
    remedy: str = ""
    copied: int = 0
    copied_bytes: int = 0
    complete_until: str | None = None

    @property
    def sentence(self) -> str:
        """One line for people."""
        match self.event:
            case "start":
                what = "its tick begins"
            case "recovered":
                what = "is well again"
            case "ok":
                what = f"is {self.health}; {self.copied:,} objects copied"
            case "conflict":
                what = "an object at the destination differs from the source"
            case "fail":
                what = f"is {self.health}"
        why = ": ".join(part for part in (self.reason, self.detail) if part)
        return safe_line("; ".join(part for part in (f"syncd: {self.job} {what}", why, self.remedy) if part))


class Call(NamedTuple):
    """A request of one webhook."""

    url: str
    body: bytes
    headers: dict[str, str]


def healthchecks(url: str, news: News) -> Call:
    """Return the ping of healthchecks.io: /start, /fail, or the URL itself."""
    suffix = {"start": "/start", "fail": "/fail", "conflict": "/fail"}.get(news.event, "")
    parts = urlsplit(url)
    whole = urlunsplit(parts._replace(path=parts.path.rstrip("/") + suffix))
    return Call(whole, news.sentence.encode(), _TEXT)


def slack(url: str, news: News) -> Call:
    """Return a message of an incoming webhook of Slack."""
    # Slack reads <!channel> and links in a text, and a key in it may be anybody's.
    text = news.sentence.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _json_call(url, {"text": text})


def pagerduty(url: str, key: str, news: News) -> Call:
    """Return an event of PagerDuty's Events API v2. All events of a job have one dedup key."""
    about: dict[str, Any] = {
        "routing_key": key,
        "dedup_key": f"syncd/{news.account_id}/{news.job}",
        "event_action": "resolve" if news.event in ("recovered", "ok") else "trigger",
    }
    if about["event_action"] == "trigger":
        about["payload"] = {
            "summary": news.sentence[:_LONGEST_SUMMARY],
            "source": "syncd",
            "component": news.job,
            "severity": "critical" if news.event == "conflict" or news.health == "unproved" else "error",
            "timestamp": news.at,
            "custom_details": asdict(news),
        }
    return _json_call(url, about)


def plain(url: str, news: News) -> Call:
    """Return the facts as one JSON object."""
    return _json_call(url, {**asdict(news), "text": news.sentence})


def _json_call(url: str, document: dict[str, Any]) -> Call:
    return Call(url, json.dumps(document).encode(), _JSON)
