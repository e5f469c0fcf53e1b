"""Credentials: the consumer's own, and the role they assume.

botocore is loaded here, before any module loads it, without AWS's runtime. It needs that for the profiles of `aws login` alone
(`logins`), and the runtime takes longer to load than all of botocore.
"""


def _load_botocore() -> None:
    import sys  # noqa: PLC0415
    from typing import Any  # noqa: PLC0415

    modules: dict[str, Any] = sys.modules
    if "awscrt.auth" not in modules:
        modules["awscrt.auth"] = None  # as if it were not installed
        try:
            import botocore.compat  # noqa: F401, PLC0415
        finally:
            del modules["awscrt.auth"]


_load_botocore()
