"""What `syncd init` asks on a terminal: the few things that it cannot find out."""

from collections.abc import Callable
from typing import Any, NamedTuple

import typer

from syncd.cli.first_config import Answers, derived, found_out


class Question(NamedTuple):
    """One thing to be known."""

    answer: str
    """The field of Answers."""
    words: str
    is_required: bool = True
    is_due: Callable[[Answers], bool] = lambda _: True


_ALWAYS = (
    Question("profile", "AWS profile of the consumer (empty: the default credentials)", is_required=False),
    Question("bucket", "Bucket that CloudTrail delivers to"),
    Question("role", "ARN of the role to assume (empty: read it without a role)", is_required=False),
    Question(
        "external_id",
        "External ID, where the bucket is another company's (empty: it is your own)",
        is_required=False,
        is_due=lambda answers: answers.role is not None,
    ),
    Question("prefix", "The trail's key prefix, before AWSLogs/ (empty: none)", is_required=False),
    Question("organization_id", "Organization ID, of an organization's trail (empty: none)", is_required=False),
    Question("destination", "Your own bucket, where the replicas go"),
)
_NOT_FOUND_OUT = (
    Question("consumer_account", "Account ID of the consumer"),
    Question("source_account", "Account ID that owns the source bucket"),
    Question("region", "Region of the source bucket"),
    Question("destination_region", "Region of your own bucket"),
)


def answered(answers: Answers) -> Answers:
    """The answers, after asking for what is neither given nor found out."""
    for question in _ALWAYS:
        answers = _asked(question, answers)
    answers = found_out(answers)
    for question in _NOT_FOUND_OUT:
        answers = derived(_asked(question, answers))
    return _asked(Question("name", "Name of the job"), answers)


def _asked(question: Question, answers: Answers) -> Answers:
    if getattr(answers, question.answer) is not None or not question.is_due(answers):
        return answers
    given: Any = typer.prompt(question.words, default=None if question.is_required else "", show_default=False)
    return answers.filled(**{question.answer: str(given).strip() or None})
