"""AWS's partitions, as the installed botocore knows them."""

import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")


class Partition(NamedTuple):
    """One partition: no credentials are valid in two."""

    name: str
    """The word in ARNs, such as `aws-us-gov`."""
    regions: str
    """The pattern of its regions' names."""
    dns_suffix: str
    """The end of its hosts, such as `amazonaws.com`."""

    def has(self, region: str) -> bool:
        """Return whether it is the partition of a region. `re` compiles and keeps the patterns that are asked."""
        return re.fullmatch(self.regions, region, re.ASCII) is not None


@cache
def partitions() -> tuple[Partition, ...]:
    """Return all partitions. Reads botocore's own list, without the time that importing botocore takes."""
    spec = find_spec("botocore")
    assert spec is not None
    assert spec.origin is not None
    listed = json.loads((Path(spec.origin).parent / "data" / "partitions.json").read_text())
    return tuple(
        Partition(item["id"], item["regionRegex"], item["outputs"]["dnsSuffix"]) for item in listed["partitions"]
    )


def names() -> tuple[str, ...]:
    """Return the names of all partitions."""
    return tuple(partition.name for partition in partitions())


def partition_of(region: str) -> str | None:
    """Return the partition of an AWS region, or None if the text names none.

    As for botocore, a region that is newer than its list is one of `aws`.
    """
    known = next((partition.name for partition in partitions() if partition.has(region)), None)
    return known or ("aws" if _REGION.fullmatch(region) else None)


def region_of_host(url: str) -> str | None:
    """Return the region whose service AWS serves at this URL, or None if it is not AWS's."""
    host = urlsplit(url).hostname or ""
    if not is_aws(host):
        return None
    labels = host.split(".")
    regions = [label for label in labels if any(partition.has(label) for partition in partitions())]
    # The service's global endpoint signs for this region.
    return regions[-1] if regions else "us-east-1" if labels[0] == "sts" else None


def is_aws(host: str) -> bool:
    """Return whether a host, with or without its port, is AWS's own."""
    name = host.partition(":")[0]
    return any(name.endswith(f".{partition.dns_suffix}") for partition in partitions())
