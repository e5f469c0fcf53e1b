"""botocore sessions of a consumer."""

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.regions import EndpointResolver
from botocore.session import Session

from syncd.aws.identity import sts as sts_wire
from syncd.aws.identity.places import Place
from syncd.aws.identity.plain.written import Keys
from syncd.aws.identity.providers import tame
from syncd.aws.wire import certificates
from syncd.config.job import Consumer
from syncd.config.partitions import partitions
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason


class Endpoints:
    """A resolver of endpoints for botocore. A region's own STS is known without its list of all services.

    That list is a megabyte of JSON, which is read when anything else is asked for.
    """

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


class _Session(Session):
    """A session whose STS clients, those of its own providers included, are the job's and within bounds."""

    def __init__(self, profile: str | None, place: Place) -> None:
        super().__init__(profile=profile)
        self._place = place

    def create_client(self, service_name: str, **more: Any) -> Any:  # type: ignore[override]  # nobody passes more by position
        """Return a client."""
        if service_name != "sts" or self._place.region is None:
            return super().create_client(service_name, **more)
        config = Config(
            connect_timeout=sts_wire.CONNECT_SECONDS,
            read_timeout=sts_wire.CALL_SECONDS,
            retries={"mode": "standard", "max_attempts": 3},
        )
        given = more.get("config")
        more["config"] = given.merge(config) if given else config
        more |= {"region_name": self._place.region, "endpoint_url": self._place.endpoint}
        client = super().create_client(service_name, **more)
        sts_wire.bound(client, authorities=authorities_of(self))
        return client


def authorities_of(core: certificates.Session) -> str:
    """Return the file of authorities that a session trusts, or empty for the default.

    Raises:
        JobFailed: it cannot be used.
    """
    authorities = certificates.authorities_of(core)
    try:
        certificates.check(authorities)
    except (OSError, ValueError) as error:
        raise JobFailed(Reason.UNTRUSTED, certificates.unusable(authorities, error)) from error
    return authorities


class _Every:
    """A list of services that contains all names."""

    def __contains__(self, name: object) -> bool:
        return True


def _look_for_no_services(core: Session) -> None:
    """Have the session load a service's model by its name. It would list the folders of all services first."""
    core.get_component("data_loader").list_available_services = lambda *_, **__: _Every()


def _know_sts(core: Any) -> None:
    """Have the session know STS without botocore's list of all services, unless the user has a list of their own."""
    loader = core.get_component("data_loader")
    paths = [path for path in loader.search_paths if not loader.is_builtin_path(path)]
    if not any(loader.file_loader.exists(str(Path(path, "endpoints"))) for path in paths):
        knowing = Endpoints(partial(loader.load_data, "endpoints"))
        core._register_internal_component("endpoint_resolver", knowing)  # noqa: SLF001  # the only way in


def session_of(consumer: Consumer, place: Place) -> Session:
    """Return a new session. It may raise whatever its files give rise to."""
    path = consumer.credentials_file
    core: Session = _Session("default" if consumer.profile is None and path else consumer.profile, place)
    if path is not None:
        core.set_config_variable("credentials_file", str(path))
    return _tamed(core)


def session_knowing(consumer: Consumer, place: Place, keys: Keys, profile: Mapping[str, str]) -> Session:
    """Return a new session of keys and a profile that were read already. It reads no file: it may be another by now."""
    core = _Session(consumer.profile, place)
    # What it would read from files. botocore has no name for it.
    vars(core)["_config"] = {"profiles": {consumer.profile or "default": dict(profile)}}
    core.set_credentials(keys.access_key, keys.secret_key, keys.token)
    return _tamed(core)


def own_session() -> Session:
    """Return a new session of the default chain, which is no job's. It may raise whatever its files give rise to."""
    return _tamed(_Session(None, Place(None, None)))


def _tamed(core: Session) -> Session:
    core.set_config_variable("sts_regional_endpoints", "regional")
    tame(core)
    _look_for_no_services(core)
    _know_sts(core)
    return core
