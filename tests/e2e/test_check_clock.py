"""What `check` says of the clock where no answer has a Date."""

import re

from stage import Stage


def clock(stage: Stage) -> str:
    ran = stage.syncd("check", "--json")
    (found,) = [check["detail"] for check in ran.job["checks"] if check["check"] == "clock"]
    return str(found)


def test_where_nothing_answers_it_does_not_speak_of_an_answer(stage: Stage, nobody: str) -> None:
    stage.job(changes={"endpoints.s3": nobody})

    said = clock(stage)

    assert re.search(r"127\.0\.0\.1:\d+ did not answer \(.*refused", said)
    assert "Date" not in said
    assert "connection_failed" not in said
