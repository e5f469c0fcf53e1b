"""botocore's providers of credentials: helpers have a deadline, nobody is asked for codes, and logins have their curve.

A profile of `aws login` is the one place where botocore needs AWS's runtime, for a signature by an elliptic curve. botocore
is loaded without the runtime (`syncd`), and gets the curve here for a profile that has a `login_session`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from botocore import credentials
from botocore.credentials import AssumeRoleProvider, LoginProvider, ProcessProvider
from botocore.session import Session

from syncd.aws.identity.lookups import CodeAskedError, Helper


def tame(core: Session) -> None:
    """Have helpers of a session obey the deadline, nobody asked for an MFA code, and logins find what they need."""
    for provider in core.get_component("credential_provider").providers:
        if isinstance(provider, ProcessProvider):
            _bounded(provider)
        elif isinstance(provider, AssumeRoleProvider):
            _refuse_codes(provider)
        elif isinstance(provider, LoginProvider):
            _equipped(provider)


def _refuse_codes(provider: Any) -> None:
    provider._prompter = partial(_ask_nobody, provider._profile_name)  # noqa: SLF001  # botocore has no names for these
    # Profiles that are the source of others have providers of their own.
    builder = provider._profile_provider_builder  # noqa: SLF001
    create = builder._create_process_provider  # noqa: SLF001
    builder._create_process_provider = lambda name: _bounded(create(name))  # noqa: SLF001
    create_login = builder._create_login_provider  # noqa: SLF001
    builder._create_login_provider = lambda name: _equipped(create_login(name))  # noqa: SLF001


def _bounded(provider: Any) -> Any:
    provider._popen = partial(Helper, profile=provider._profile_name)  # noqa: SLF001  # as above
    return provider


def _ask_nobody(profile: str, prompt: str) -> str:
    raise CodeAskedError(f"profile {profile} asks for an MFA code ({prompt.strip().rstrip(':')})")


def _equipped(provider: Any) -> Any:
    """Have a provider load the runtime before it looks up a login."""
    provider.load = partial(_load, provider, provider.load)
    return provider


def _load(provider: Any, load: Callable[[], Any]) -> Any:
    profiles = provider._load_config().get("profiles", {})  # noqa: SLF001  # botocore has no names for these
    if "login_session" in profiles.get(provider._profile_name, {}):  # noqa: SLF001
        from awscrt.crypto import EC  # noqa: PLC0415

        credentials.EC = EC  # type: ignore[attr-defined]  # it has None, as if the runtime were not installed
    return load()
