"""Credentials: the consumer's own, and the role they assume.

botocore is loaded here, without AWS's runtime: it needs that for the profiles of `aws login` alone (`logins`), and to load it
takes as long as botocore itself.
"""

import sys
from typing import Any

_RUNTIME = "awscrt.auth"

if _RUNTIME not in sys.modules:
    _modules: dict[str, Any] = sys.modules
    _modules[_RUNTIME] = None  # as if it were not installed
    try:
        import botocore.compat  # noqa: F401
    finally:
        del _modules[_RUNTIME]
