"""Public keys on disk, and keys that are asked for."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chains import known_keys, with_spec

from syncd.verify.keystore import AskedKeys, keep_keys, kept_keys
from syncd.verify.rules.keys import Keys

REGIONS = [f"us-east-{number}" for number in range(1, 9)]


def test_keys_that_several_processes_keep_at_once_are_all_kept(tmp_path: Path) -> None:
    """Each has read the file before the others wrote it."""
    own = [Keys([key]) for key in known_keys(with_spec(regions=REGIONS)).all()]

    with ThreadPoolExecutor(len(own)) as pool:
        list(pool.map(lambda keys: keep_keys(tmp_path, keys), own))

    assert [key.region for key in kept_keys(tmp_path).all()] == REGIONS


def test_a_bad_key_in_the_answer_is_told_and_the_others_are_used() -> None:
    (good,) = known_keys().all()
    bad = good._replace(fingerprint="0" * 32)
    no_key = good._replace(der=b"no key", fingerprint="c9ed46e1cdaeb8eb3e3ae5ef12b3b4d4")
    keys = AskedKeys((), lambda _: [bad, no_key, good])

    assert keys.find(good.region, good.fingerprint) == good
    assert [bad.fingerprint in keys.refused[0], no_key.fingerprint in keys.refused[1]] == [True, True]
