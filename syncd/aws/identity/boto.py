"""botocore sessions of a consumer: which files they read, and which STS they ask."""

import os
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from botocore.config import Config
from botocore.session import Session

from syncd.aws.identity import sts as sts_wire
from syncd.aws.identity.endpoints import Endpoints
from syncd.aws.identity.lookups import tame
from syncd.aws.wire import certificates
from syncd.config.job import Consumer, Job
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason


class Place(NamedTuple):
    """The STS that credentials are got from."""

    region: str | None
    endpoint: str | None


class Kept(NamedTuple):
    """A session, and its files as they were."""

    session: Session
    files: tuple[object, ...]


def place_of(job: Job) -> Place:
    """Return the STS of a job."""
    return Place(job.sts_region, job.endpoints.sts)


def key_of(consumer: Consumer, place: Place) -> tuple[object, ...]:
    """Return what two consumers with the same session have in common."""
    return consumer.profile, consumer.credentials_file, place


def files_of(consumer: Consumer) -> tuple[object, ...]:
    """Return what changes with the content of the files that a session reads."""
    environ = os.environ.get
    paths = (
        consumer.credentials_file or environ("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials",
        environ("AWS_CONFIG_FILE") or "~/.aws/config",
    )
    return tuple(_stamp(Path(path)) for path in paths)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.expanduser().stat()
    except (OSError, RuntimeError, ValueError):
        return ()
    # A copy may keep the old time of modification. Nobody sets that of the last change.
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size


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


def authorities_of(core: Session) -> str:
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


def own_session() -> Session:
    """Return a new session of the default chain, which is no job's. It may raise whatever its files give rise to."""
    return _tamed(_Session(None, Place(None, None)))


def _tamed(core: Session) -> Session:
    core.set_config_variable("sts_regional_endpoints", "regional")
    tame(core)
    _look_for_no_services(core)
    _know_sts(core)
    return core
