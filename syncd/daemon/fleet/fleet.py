"""The share of the jobs that this daemon has."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from syncd.config.job import Configuration
from syncd.daemon.fleet.slots import Slots
from syncd.daemon.log.repeats import RepeatedProblems
from syncd.job.health.slot import of_slot


class Share:
    """All jobs, or those of the slot whose lease this process has."""

    def __init__(
        self,
        configuration: Configuration,
        problems: RepeatedProblems,
        *,
        now: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        """Call `on_change`, from another thread, when other jobs are this daemon's."""
        settings = configuration.settings
        self._fleet = settings.fleet
        self.slots = (
            None
            if self._fleet is None
            else Slots(self._fleet, settings.state_dir, problems, now=now, on_change=on_change)
        )

    def begin(self) -> None:
        """Look for a slot, if there are slots."""
        if self.slots is not None:
            self.slots.begin()

    def close(self) -> None:
        """Give the slot back."""
        if self.slots is not None:
            self.slots.close()

    def of(self, configuration: Configuration) -> Configuration:
        """Return a configuration with this daemon's jobs alone."""
        if self._fleet is None or self.slots is None:
            return configuration
        held = self.slots.held
        jobs = of_slot(configuration.jobs, self._fleet, None if held is None else held.slot)
        files = dict(zip((job.name for job in configuration.jobs), configuration.files[1:], strict=True))
        return replace(configuration, jobs=jobs, files=(configuration.files[0], *(files[job.name] for job in jobs)))

    def may_tick(self) -> bool:
        """Return true if ticks may begin."""
        return self.slots is None or self.slots.may_tick()

    def gauges(self) -> dict[str, Any]:
        """Return what the metrics show: whether the lease is renewed in time, and how many slots there are."""
        return {
            "has_lease": self.slots is not None and self.may_tick(),
            "slots": 0 if self._fleet is None else self._fleet.members,
        }

    @property
    def is_standing_by(self) -> bool:
        """True while other processes have all slots."""
        return self.slots is not None and self.slots.held is None

    @property
    def is_anothers(self) -> bool:
        """True if another daemon may have had this slot since this one did."""
        held = self.slots.held if self.slots is not None else None
        return held is not None and held.is_anothers

    def lapsed_reason(self) -> str | None:
        """Return why no tick may begin though a slot is held, or None."""
        if self.slots is None or self.slots.held is None or self.slots.may_tick():
            return None
        return f"the lease of slot {self.slots.held.slot} could not be renewed in time, so that no tick begins"

    def notes(self) -> list[tuple[str, str]]:
        """Return sentences about the slot, each with a remedy or none."""
        if self._fleet is None or self.slots is None:
            return []
        held, failure, members = self.slots.held, self.slots.failure, self._fleet.members
        if held is not None:
            found = [(f"Has slot {held.slot} of {members} ({self.slots.owner}).", "")]
        else:
            holders = ", ".join(f"slot {slot}: {owner}" for slot, owner in self.slots.holders().items())
            found = [(f"Stands by: other processes have all {members} slots ({holders or 'none seen yet'}).", "")]
        lapsed = self.lapsed_reason()
        found += [(lapsed[:1].upper() + lapsed[1:], "")] if lapsed else []
        return found + ([(f"{failure.reason}: {failure.detail}", failure.remedy)] if failure is not None else [])
