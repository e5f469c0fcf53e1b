"""The pages' templates, rendered with every value escaped. Text that cannot be seen is written as an escape."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from syncd import __version__
from syncd.job.health.freshness import bound, span
from syncd.job.health.progress import progress_words
from syncd.job.report import utc
from syncd.model import reasons
from syncd.model.escaping import safe_key, safe_line, visible

REFRESH_SECONDS = 30


def render(template: str, **values: Any) -> str:
    """Return a page. Raises an error of Jinja2 if the template uses a value that is missing."""
    return _TEMPLATES[template].render(values)


def ago(instant: float, now: float) -> str:
    """Return how long ago an instant is, or `never` for 0.0."""
    return f"{span(now - instant)} ago" if instant else "never"


def minute(instant: float) -> str:
    """Return an instant to the minute, in UTC."""
    written = utc(instant)
    return written[:16].replace("T", " ") if written else "-"


def _shown(value: object) -> Markup | str:
    return value if isinstance(value, Markup) else visible(str(value))


def _commands(text: str) -> Markup:
    """Return a sentence with its commands, which stand in backticks, as code."""
    parts = [visible(part) for part in text.split("`")]
    if len(parts) % 2 == 0:
        return Markup.escape(visible(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else Markup.escape(part)
        for number, part in enumerate(parts)
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("syncd.daemon.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "ago": ago,
        "bound": bound,
        "minute": minute,
        "commands": _commands,
        "progress": progress_words,
        "remedy": reasons.remedy_of,
        "safe_key": safe_key,
        "safe_line": safe_line,
        "seconds": "{:.1f} s".format,
        "span": span,
        "thousands": "{:,}".format,
        "utc": utc,
    }
    environment.globals |= {"version": __version__, "refresh_seconds": REFRESH_SECONDS}
    return environment


_ENVIRONMENT = _environment()
# Loaded at the start: a daemon whose package is replaced while it runs would mix old code and new templates.
_TEMPLATES = {name: _ENVIRONMENT.get_template(name) for name in _ENVIRONMENT.list_templates()}
