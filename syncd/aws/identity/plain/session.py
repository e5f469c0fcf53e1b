"""A session of keys that are written down."""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from syncd.aws.identity.places import Place
from syncd.aws.identity.plain.calls import Sts, Wire
from syncd.aws.identity.plain.written import KEYS, Keys, written_down
from syncd.aws.s3 import Address
from syncd.aws.wire import certificates
from syncd.aws.wire.signing import Credentials
from syncd.config.job import Consumer
from syncd.config.partitions import partitions

# Without what botocore drops of a host, and without a path, whose signature is of another form than S3's.
_PLAIN_URL = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?!:(?:80|443)/?$)(?::[0-9]+)?/?", re.ASCII)


class Session(Protocol):
    """Session of a consumer: botocore's, or one of its own."""

    def get_credentials(self) -> Any:
        """Return the credentials, or None."""
        ...

    def get_scoped_config(self) -> Mapping[str, Any]:
        """Return the settings of the profile."""
        ...

    def get_config_variable(self, logical_name: str) -> Any:
        """Return a setting, from wherever botocore takes it."""
        ...

    @property
    def create_client(self) -> Callable[..., Any]:
        """Maker of a client of a service."""
        ...


class PlainSession:
    """Session of keys that are written down. Anything but STS is done by botocore's session."""

    def __init__(
        self, keys: Keys, profile: Mapping[str, str], sts: Address, *, whole: Callable[[], Any], wire: Wire
    ) -> None:
        """`whole` makes botocore's session of the same keys and profile."""
        self._keys = keys
        self._profile = profile
        self._sts = sts._replace(authorities=certificates.authorities_of(self))
        self._make_whole = whole
        self._made: Any = None
        self._wire = wire

    def get_credentials(self) -> Keys:
        """Return the keys."""
        return self._keys

    def get_scoped_config(self) -> Mapping[str, str]:
        """Return the settings of the profile, the keys among them."""
        return self._profile

    def get_config_variable(self, logical_name: str) -> Any:
        """Return a setting. Other than the authorities, botocore looks it up."""
        if logical_name != "ca_bundle":
            return self._whole().get_config_variable(logical_name)
        return os.environ.get("AWS_CA_BUNDLE", self._profile.get("ca_bundle"))

    def create_client(self, service_name: str, **more: Any) -> Any:
        """Return a client. That of STS with explicit keys is none of botocore's."""
        if service_name != "sts" or more.keys() != set(KEYS):
            return self._whole().create_client(service_name, **more)
        key, secret, token = (more[name] for name in KEYS)
        return Sts(
            self._sts,
            Credentials(key, secret, token, None),
            wire=self._wire,
            whole=lambda: self._whole().create_client(service_name, **more),
        )

    def _whole(self) -> Any:
        """Return botocore's session. Two threads may each make one: none waits for another's files."""
        if self._made is None:
            self._made = self._make_whole()
        return self._made


def plain_session(
    consumer: Consumer, place: Place, *, whole: Callable[[Keys, Mapping[str, str]], Any], wire: Wire
) -> PlainSession | None:
    """Return the session of a consumer. None if it is for botocore to find the credentials or STS.

    `whole` makes botocore's session of these keys and this profile. `wire` is what STS is asked by.
    """
    sts, found = _address_of(place), written_down(consumer)
    if sts is None or found is None:
        return None
    return PlainSession(*found, sts, whole=lambda: whole(*found), wire=wire)


def _address_of(place: Place) -> Address | None:
    """Return the address of STS, without authorities yet. None if botocore may ask another, or in another way."""
    # Of a region of FIPS botocore signs for the plain one.
    if place.region is None or "fips" in place.region:
        return None
    found = (f"https://sts.{place.region}.{each.dns_suffix}" for each in partitions() if each.has(place.region))
    url = place.endpoint or next(found, None)
    if url is None or not _PLAIN_URL.fullmatch(url):
        return None
    parts = urlsplit(url)
    return Address(parts.scheme, parts.netloc, "", place.region, signs_payload=True, service="sts")
