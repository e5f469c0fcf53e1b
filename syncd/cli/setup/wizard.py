"""The questions of `syncd init` on a terminal. Each answer is tried at once, and one can go back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from shutil import get_terminal_size
from textwrap import fill
from typing import Any, NamedTuple, TypeVar

import click

from syncd.cli.setup.first_config import FLAGS, Refused, job_table
from syncd.cli.setup.init_answers import Answers, derived
from syncd.cli.setup.trying import Trials
from syncd.config.job import JOB, completed
from syncd.config.problems import examine
from syncd.model.escaping import safe_line

T = TypeVar("T")

_MARKS = {True: "✓", False: "✗", None: "·"}
BACK = frozenset({"<", "back"})
NOTHING = "-"
_WELCOME = """\
Each answer is tried at once. Type < to go back, and Ctrl-C to leave. Nothing is
written before you say so."""


class Question(NamedTuple):
    """One question."""

    answer: str
    """The field of Answers that it fills."""
    words: str
    about: str = ""
    is_required: bool = True
    is_due: Callable[[Answers], bool] = lambda _: True
    is_tried: bool = True


def _is_unknown(name: str) -> Callable[[Answers], bool]:
    return lambda answers: getattr(answers, name) is None


INIT = (
    Question("profile", "AWS profile of the account that copies", "Enter: the default credentials", is_required=False),
    Question("consumer_account", "Account ID of the account that copies", is_due=_is_unknown("consumer_account")),
    Question("bucket", "Bucket that CloudTrail delivers to"),
    Question("region", "Region of that bucket", is_due=_is_unknown("region")),
    Question("role", "ARN of the role to assume", "Enter: read the bucket without a role", is_required=False),
    Question(
        "external_id",
        "External ID, if the bucket belongs to another company",
        "Enter: it is your own",
        is_required=False,
        is_due=lambda answers: answers.role is not None,
    ),
    Question("source_account", "Account ID that owns that bucket", is_due=_is_unknown("source_account")),
    Question("prefix", "The trail's key prefix, before AWSLogs/", "Enter: none", is_required=False),
    Question("organization_id", "Organization ID, for an organization trail", "Enter: none", is_required=False),
    Question("destination", "Your own bucket, for the copies"),
    Question("destination_region", "Region of your own bucket", is_due=_is_unknown("destination_region")),
    Question("destination_prefix", "Prefix in front of the copies' keys", "Enter: none", is_required=False),
    Question("name", "Name of the job"),
)


_BY_NAME = {question.answer: question for question in INIT}
# The customer's role is not there yet, so nothing of the customer's can be read.
ONBOARD = (
    _BY_NAME["profile"],
    _BY_NAME["consumer_account"],
    Question("source_account", "Account ID of the customer"),
    Question("bucket", "Bucket that the customer's CloudTrail delivers to"),
    _BY_NAME["region"],
    _BY_NAME["prefix"]._replace(is_tried=False),
    _BY_NAME["organization_id"]._replace(is_tried=False),
    _BY_NAME["destination"],
    _BY_NAME["destination_region"],
)


class _Asked(NamedTuple):
    """A question that was answered, and the answers before it."""

    number: int
    before: Answers


class Wizard:
    """The conversation. It fills what is neither given nor found out."""

    def __init__(
        self,
        given: Answers,
        questions: Sequence[Question],
        say: Callable[[str], None],
        complete: Callable[[Answers], Answers] = derived,
    ) -> None:
        """`complete` returns the answers with what follows from all of them."""
        self._complete = complete
        self._questions = questions
        self._say = say
        self._given = given
        self._trials = Trials()
        self._typed: dict[str, str] = {}
        self._failed: tuple[str, str] | None = None
        """The question whose answer has just failed its try, and that answer. Once more, and it is kept."""
        self._asked: list[_Asked] = []
        self._answers = given

    def run(self, write: Callable[[Answers], T]) -> T:
        """Ask everything, then return what `write` returns. Asks again if it refuses.

        Raises:
            click.Abort: the person left.
        """
        self._say(_WELCOME)
        number = 0
        while True:
            number = self._ask_from(number)
            answers = self._complete(self._answers)
            self._say(summary(answers))
            if not self._is_confirmed():
                number = self._back(number)
                continue
            try:
                return write(answers)
            except Refused as refusal:
                for problem in refusal.problems:
                    self._tell(problem.removeprefix("--"))
                number = self._back(number)

    def _ask_from(self, number: int) -> int:
        while number < len(self._questions):
            question = self._questions[number]
            if getattr(self._given, question.answer):
                self._try_given(question)
                number += 1
                continue
            if not question.is_due(self._known(self._answers)):
                number += 1
                continue
            text = self._ask(question)
            number = self._back(number) if text is None else self._taken(number, question, text)
        return number

    def _try_given(self, question: Question) -> None:
        """Try what an option gave, once. It is kept in any case."""
        if question.answer in self._typed:
            return
        self._typed[question.answer] = getattr(self._given, question.answer)
        tried = self._trials.of(question.answer, self._known(self._answers)) if question.is_tried else None
        if tried is not None:
            name = question.answer.replace("_", "-")
            self._tell(f"--{name}: {tried.said}", _MARKS[tried.is_well], tried.command)
            self._answers = self._with_found(self._answers, tried.found)

    def _back(self, number: int) -> int:
        """Return the number of the question before, with the answers as they were then."""
        if not self._asked:
            self._say("  this is the first question")
            return number
        last = self._asked.pop()
        self._answers = last.before
        return last.number

    def _ask(self, question: Question) -> str | None:
        """Return the text of an answer, or None to go back."""
        default = self._typed.get(question.answer) or getattr(derived(self._answers), question.answer) or ""
        about = question.about
        if default:
            about = f"Enter: {default}" + ("" if question.is_required else f"; {NOTHING} for none")
        elif question.answer == "profile" and (there := self._trials.profiles(self._answers)):
            about = f"there are: {', '.join(there)}; {about}"
        words = f"{question.words} ({safe_line(about)})" if about else question.words
        self._say("\n" + _folded(words))
        while True:
            text = _typed(">", default)
            if text in BACK:
                return None
            text = "" if text == NOTHING and not question.is_required else text
            if text or not question.is_required:
                return text
            self._tell("an answer is needed")

    def _taken(self, number: int, question: Question, text: str) -> int:
        """Take an answer if it is right. Returns the number of the question to ask next."""
        given: dict[str, Any] = {question.answer: text or None}
        answers = replace(self._answers, **given)
        if text and (problem := _problem(question.answer, answers)):
            self._tell(problem)
            self._typed.pop(question.answer, None)
            return number
        self._typed[question.answer] = text
        is_kept, self._failed = self._failed == (question.answer, text), None
        tried = None if is_kept or not question.is_tried else self._trials.of(question.answer, self._known(answers))
        if tried is not None:
            self._tell(tried.said, _MARKS[tried.is_well], tried.command)
            if tried.is_well is False:
                self._say("  Enter keeps it all the same")
                self._failed = question.answer, text
                return number
            answers = self._with_found(answers, tried.found)
        self._asked.append(_Asked(number, self._answers))
        self._answers = answers
        return number + 1

    def _tell(self, sentence: str, mark: str = "✗", command: str = "") -> None:
        """Say what became of an answer, in lines that fit. A command keeps its line."""
        self._say(_folded(f"{mark} {safe_line(sentence)}", initial_indent="  ", subsequent_indent="    "))
        if command:
            self._say(f"    {safe_line(command)}")

    def _with_found(self, answers: Answers, found: Mapping[str, str | None]) -> Answers:
        """Fill in what a try found out, or offer it if a question for it follows anyway."""
        for name, value in found.items():
            if name == "organization_id" and value:
                self._typed.setdefault(name, value)
        return answers.filled(**{name: value for name, value in found.items() if name != "organization_id"})

    def _known(self, answers: Answers) -> Answers:
        """Return the answers with what follows from them. The region of one's own bucket is asked for."""
        return replace(derived(answers), destination_region=answers.destination_region)

    def _is_confirmed(self) -> bool:
        text = _typed("Write it? [Y/n, < goes back]", "y").lower()
        if text in ("n", "no"):
            self._say("nothing was written")
            raise click.Abort
        return text not in BACK


def _folded(text: str, **more: Any) -> str:
    width = get_terminal_size().columns - 1
    return fill(text, width, break_long_words=False, break_on_hyphens=False, **more)


def _typed(prompt: str, default: str) -> str:
    return str(click.prompt(prompt, default=default, show_default=False, err=True, prompt_suffix=" ")).strip()


def _problem(answer: str, answers: Answers) -> str | None:
    """Return what is wrong with the form of an answer, or None."""
    flag = f"--{answer.replace('_', '-')}"
    findings = examine(JOB, completed(job_table(answers)))[1]
    return next((message for key, message in findings if FLAGS.get(key) == flag), None)


def summary(answers: Answers) -> str:
    """Return the answers, a line each."""
    who = f"{answers.consumer_account}" + (f", profile {answers.profile}" if answers.profile else "")
    external = f", external ID {answers.external_id}" if answers.external_id else ""
    accounts = "all" if "*" in answers.accounts else ", ".join(answers.accounts)
    rows: Sequence[tuple[str, str]] = [
        ("job", answers.name or ""),
        ("account", who),
        ("source", f"s3://{answers.bucket}/{answers.prefix or ''} of {answers.source_account}, {answers.region}"),
        ("role", f"{answers.role}{external}" if answers.role else "none"),
        ("accounts copied", accounts),
        ("copies", f"s3://{answers.destination}/{answers.destination_prefix or ''}, {answers.destination_region}"),
    ]
    return "\n" + "\n".join(f"  {name:<16}{safe_line(value)}" for name, value in rows)
