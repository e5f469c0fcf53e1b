"""The places of AWS's services. A region's own STS is known without botocore's list of all services.

That list is a megabyte of JSON. Reading it takes a fourteenth of an idle tick, and the memory of each session that does.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from botocore.regions import EndpointResolver

from syncd.config.partitions import partitions


class Endpoints:
    """A resolver of endpoints for botocore. It reads the list when it is asked for anything but STS."""

    uses_builtin_data = True

    def __init__(self, load: Callable[[], Any]) -> None:
        """`load` returns the list."""
        self._load = load

    def construct_endpoint(self, service_name: str, region_name: str | None = None, **more: Any) -> Any:
        """Return the facts about a service in a region, as botocore has them."""
        if service_name == "sts" and region_name is not None and not any(more.values()):
            for partition in partitions():
                if partition.has(region_name):
                    return {
                        "dnsSuffix": partition.dns_suffix,
                        "endpointName": region_name,
                        "hostname": f"sts.{region_name}.{partition.dns_suffix}",
                        "partition": partition.name,
                        "protocols": ["https"],
                        "signatureVersions": ["v4"],
                    }
        return self._whole.construct_endpoint(service_name, region_name, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    @cached_property
    def _whole(self) -> EndpointResolver:
        return EndpointResolver(self._load(), uses_builtin_data=True)
