"""Tags of the source's objects stay with the source, unless the job asks for them."""

from datetime import datetime, timedelta

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from stage import Stage


@pytest.mark.parametrize("wanted", [None, True])
def test_a_replica_has_the_sources_tags_only_if_the_job_says_so(
    stage: Stage, now: datetime, *, wanted: bool | None
) -> None:
    (key,) = stage.deliver([Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=5))])
    stage.server.objects(stage.world.bucket)[key].tags.update({"team": "a"})
    stage.job(changes={"destination.copy_tags": wanted})

    ran = stage.syncd("tick", "--json")

    assert (ran.code, ran.job["copied"]) == (0, 1)
    assert dict(stage.server.get(stage.world.consumer("account-z").bucket, key).tags) == (
        {"team": "a"} if wanted else {}
    )
    assert stage.requests("GetObjectTagging") == (1 if wanted else 0)
