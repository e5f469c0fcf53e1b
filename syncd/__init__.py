"""syncd: replicates CloudTrail logs into each consumer account, without gaps and with proof."""

__version__ = "0.1.0"


def _leave_out_the_runtime() -> None:
    """Have botocore loaded as if AWS's runtime were not installed, whichever module loads it first.

    The runtime takes longer to load than all of botocore. That needs it for the profiles of `aws login` alone
    (`aws.identity.providers`); what syncd itself uses of it, the checksums, is another part.
    """
    import sys  # noqa: PLC0415
    from typing import Any  # noqa: PLC0415

    modules: dict[str, Any] = sys.modules
    modules.setdefault("awscrt.auth", None)


_leave_out_the_runtime()
