"""What `check` says of the clock where no answer has a Date."""

import re

from stage import Stage

from syncd.embedded import free_port


def clock(stage: Stage) -> str:
    ran = stage.syncd("check", "--json")
    (found,) = [check["detail"] for check in ran.job["checks"] if check["check"] == "clock"]
    return str(found)


def test_where_nothing_answers_it_does_not_speak_of_an_answer(stage: Stage) -> None:
    stage.job(changes={"endpoints.s3": f"http://127.0.0.1:{free_port()}"})

    said = clock(stage)

    assert re.search(r"127\.0\.0\.1:\d+ did not answer \(.*refused", said)
    assert "Date" not in said
    assert "connection_failed" not in said
