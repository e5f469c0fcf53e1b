"""Session tags that a consumer's credentials carry, and that go along when they assume a role."""

import json
import os
from base64 import urlsafe_b64decode
from contextlib import suppress
from pathlib import Path

from syncd.aws.identity.plain.session import Session

# "Pass session tags in AWS STS", IAM user guide: the claim of an OIDC token.
_CLAIM = "https://aws.amazon.com/tags"
_TOKEN_BYTES = 64 * 1024


def carries_tags(session: Session) -> bool:
    """Return whether the session's credentials, which were looked up, carry tags that are passed on.

    EKS Pod Identity puts six on them, all transitive ("Pod Identity: session tags", EKS user guide). A web identity has
    those that its token claims as transitive.
    """
    method = getattr(session.get_credentials(), "method", "")
    if method == "assume-role-with-web-identity":
        profile = session.get_scoped_config()
        return _claims_tags(os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") or profile.get("web_identity_token_file", ""))
    is_of_the_container = method == "container-role" or (
        method == "assume-role" and session.get_scoped_config().get("credential_source") == "EcsContainer"
    )
    return is_of_the_container and "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" in os.environ


def _claims_tags(token_file: str) -> bool:
    with suppress(OSError, ValueError, IndexError, AttributeError, TypeError):
        with Path(token_file).open("rb") as file:
            payload = file.read(_TOKEN_BYTES).split(b".")[1]
        claims = json.loads(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
        return bool(claims[_CLAIM]["transitive_tag_keys"]) if _CLAIM in claims else False
    return False
