"""Every fault with every verb and way of copying, and the table of what became of them."""

from collections.abc import Iterable, Iterator, Sequence

from injection.answers import ANSWERS
from injection.disk import DISK
from injection.fault import LOOKING, Fault, Result
from injection.identity import IDENTITY
from injection.not_yet import NOT_YET
from injection.process import PROCESS
from injection.trial import attempt
from injection.wire import WIRE

FAULTS: Sequence[Fault] = (*ANSWERS, *WIRE, *IDENTITY, *PROCESS, *DISK)
HEAD = (
    "| fault | injected | survived | lost | double | overwritten | longest recovery, s |\n|---|---|---|---|---|---|---|"
)


def trials(only: str = "") -> Iterator[tuple[str, str, str]]:
    """Each fault, verb and way of copying, as far as these words are in their name, such as `STS is busy, tick, stream`."""
    for fault in FAULTS:
        for verb in fault.verbs:
            # What only looks copies nothing, so that the way of copying says nothing.
            for mode in fault.modes[:1] if verb in LOOKING else fault.modes:
                if only in f"{fault.name}, {verb}, {mode}":
                    yield fault.name, verb, mode


def tried(name: str, verb: str, mode: str) -> Result:
    """A trial of the fault of this name."""
    (fault,) = (fault for fault in FAULTS if fault.name == name)
    return attempt(fault, verb, mode)


def row(name: str, results: Iterable[Result]) -> str:
    """The fault's row."""
    all_of_it = list(results)
    survived = sum(result.is_survived for result in all_of_it)
    lost, double, overwritten = (sum(numbers) for numbers in zip(*(result.harm for result in all_of_it), strict=True))
    longest = max(result.recovery_seconds for result in all_of_it)
    told = f"{survived}, not yet" if survived < len(all_of_it) and name in NOT_YET else f"{survived}"
    return f"| {name} | {len(all_of_it)} | {told} | {lost} | {double} | {overwritten} | {longest:.1f} |"
