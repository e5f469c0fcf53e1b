"""Profiles of `aws login`: the one place where botocore needs AWS's runtime, for a signature by an elliptic curve.

botocore is loaded without the runtime (`syncd`), and gets the curve here for a profile that has a `login_session`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from botocore import credentials


def equipped(provider: Any) -> Any:
    """Have a provider load the runtime before it looks up a login."""
    provider.load = partial(_load, provider, provider.load)
    return provider


def _load(provider: Any, load: Callable[[], Any]) -> Any:
    profiles = provider._load_config().get("profiles", {})  # noqa: SLF001  # botocore has no names for these
    if "login_session" in profiles.get(provider._profile_name, {}):  # noqa: SLF001
        from awscrt.crypto import EC  # noqa: PLC0415

        credentials.EC = EC  # type: ignore[attr-defined]  # it has None, as if the runtime were not installed
    return load()
