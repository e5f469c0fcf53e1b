"""The logs that a digest names, checked without reading those whose hash was kept while they were copied."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from syncd.model.keys.trail import is_ignored
from syncd.model.objects import Shard
from syncd.verify.audit import elsewhere
from syncd.verify.continuous.ports import Ledger, LiveReplica
from syncd.verify.healing.lost import shard_of
from syncd.verify.rules.digest import Digest, Named
from syncd.verify.rules.place import Place, Stored
from syncd.verify.rules.verdict import Finding, Flaw


class LogCheck:
    """Checks logs of one tick, and reads back so many at most."""

    def __init__(
        self, replica: LiveReplica, ledger: Ledger, *, buckets: Collection[str], ignore: Sequence[str], reads: int
    ) -> None:
        self._replica, self._ledger = replica, ledger
        self._buckets, self._ignore = buckets, ignore
        self._reads = reads
        self.has_checked = False
        """The first digest is checked however many logs it names."""

    def problems(self, place: Place, digest: Digest | None) -> list[Finding] | None:
        """Return what is wrong with the logs of a digest. Returns None if too many would have to be read."""
        problems: list[Finding] = []
        folders: dict[tuple[str, str], dict[str, Named]] = defaultdict(dict)
        for log in digest.logs if digest is not None else ():
            _, prefix = place.prefix_of(log.key)
            if not prefix or is_ignored(log.key, self._ignore):
                continue
            if log.bucket not in self._buckets:
                problems.append(elsewhere(log))
                continue
            folders[prefix, log.key.rpartition("/")[0]][log.key] = log
        unknown: dict[str, tuple[Stored, Named]] = {}
        for (prefix, _), logs in folders.items():
            unknown |= self._unknown(shard_of(prefix, place), logs, problems)
        if len(unknown) > self._reads and self.has_checked:
            return None
        self.has_checked = True
        self._reads -= len(unknown)
        for item, found in self._replica.hashes(item for item, _ in unknown.values()):
            named = unknown[item.key][1]
            if isinstance(found, Finding):
                problems.append(found._replace(key=item.key, named=named.sha256))
            elif found != named.sha256:
                detail = f"its content has SHA-256 {found}, and its digest names {named.sha256}"
                problems.append(Finding(Flaw.LOG_ALTERED, detail, item.key, named.sha256, found))
        return problems

    def _unknown(
        self, shard: Shard, logs: Mapping[str, Named], problems: list[Finding]
    ) -> dict[str, tuple[Stored, Named]]:
        """Return the logs that have to be read, and add those that are missing to the problems."""
        keys = sorted(logs)
        there = {item.key: item for item in self._replica.between(shard.prefix, keys[0], keys[-1]) if item.key in logs}
        known = self._ledger.contents(shard, keys)
        unknown = {}
        for key in keys:
            item = there.get(key)
            if item is None:
                problems.append(Finding(Flaw.LOG_MISSING, "the replica has no such object", key))
            elif known.get(key) != (item.etag, item.size_bytes, logs[key].sha256):
                # The replica is not what was written here, or the hash is not known: its bytes decide.
                unknown[key] = item, logs[key]
        return unknown
