"""What the terminal shows of a proof that goes on."""

import pytest

from syncd.cli.proof.progress import line
from syncd.verify.rules.progress import Progress


@pytest.mark.parametrize(
    ("digests", "seconds", "told"),
    [
        ((0, 100), 2.0, "3,000 logs compared, 1,500/s, 6 MB"),
        ((50, 100), 120.0, "3,000 of about 6,000 logs compared, 25/s, 6 MB, 2:00 left"),
        ((25, 100), 7200.0, "3,000 of about 12,000 logs compared, 0/s, 6 MB, 6:00:00 left"),
        ((100, 100), 60.0, "3,000 of about 3,000 logs compared, 50/s, 6 MB, 0:00 left"),
    ],
)
def test_rate_and_time_left_are_told_from_the_digests_that_are_done(
    digests: tuple[int, int], seconds: float, told: str
) -> None:
    progress = Progress()
    progress.digest(*digests)
    for _ in range(3000):
        progress.log(2000)

    assert line(progress, seconds) == told


def test_an_account_of_four_and_a_job_of_two_are_that_much_of_the_whole() -> None:
    progress = Progress()

    progress.job(1, 2)
    progress.place(1, 4)
    progress.digest(1, 2)

    assert progress.done == 0.5 + (0.25 + 0.125) / 2
