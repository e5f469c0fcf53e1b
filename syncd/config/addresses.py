"""URLs, host names and addresses to listen on."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from syncd.config.names import check_bucket, check_prefix
from syncd.config.words import shown

_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_QUEUE_REGION = re.compile(r"(?:^|\.)sqs(?:-fips)?\.([a-z]{2,}-[a-z0-9-]+)\.")
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)


def check_url(address: str) -> str:
    """Return an http(s) URL. No message repeats it, since passwords and tokens hide in URLs."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f\x7f]", address):
        raise ValueError('this is no http:// or https:// URL with a host, such as "http://127.0.0.1:5000"')
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL may not hold a user name or a password; remove what stands before the @")
    return address


def check_heartbeat(address: str) -> str:
    """Return the URL of a heartbeat. In a job's, `{job}` stands for the job's name, and nothing else is filled in."""
    if re.search(r"[{}]", address.replace("{job}", "")):
        raise ValueError("only {job}, the job's name, is filled in; write other braces as %7B and %7D")
    return check_url(address)


def check_endpoint(value: str) -> str:
    """Return the URL of a server, without a slash at its end."""
    address = check_url(value)
    if urlsplit(address).query or urlsplit(address).fragment:
        raise ValueError("an endpoint is a URL without ? and #")
    return address.rstrip("/")


def check_queue(value: str) -> str:
    """Return the URL of a standard SQS queue, to which nobody on the way can listen."""
    address = check_endpoint(value)
    parts = urlsplit(address)
    if not re.fullmatch(r"/(?:[^/]+/)+[A-Za-z0-9_-]{1,80}(\.fifo)?", parts.path):
        shape = "https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"
        raise ValueError(f"{shown(address)} is no URL of a queue: {shape}, as `aws sqs get-queue-url` prints it")
    if parts.path.endswith(".fifo"):
        raise ValueError(f"{shown(address)} is a FIFO queue, which S3 does not notify; create a standard queue")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(f"{shown(address)}: http:// beyond this machine is not private; use https://")
    return address


def check_lease(value: str) -> str:
    """Return the URL of a folder in a bucket."""
    bucket, slash, prefix = value.removeprefix("s3://").partition("/")
    if not value.startswith("s3://") or not slash or (prefix and not prefix.endswith("/")):
        raise ValueError(f"{shown(value)} is no folder in a bucket: s3://BUCKET/PREFIX/, with a slash at its end")
    check_bucket(bucket)
    check_prefix(prefix)
    return value


def region_of_queue(queue: str) -> str | None:
    """Return the region that a queue's URL names, or None."""
    found = _QUEUE_REGION.search(urlsplit(queue).hostname or "")
    return found[1] if found else None


def check_host(value: str) -> str:
    """Return a host name as clients write it in `Host`: in lower case, without the last dot."""
    host = value.lower().removesuffix(".")
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise ValueError(f'{shown(value)} is no host name: without scheme and port, such as "syncd.example.com"')
    return host


def check_listen(address: str) -> str:
    """Return an address to listen on, or nothing."""
    if address:
        split_address(address)
    return address


def split_address(address: str) -> tuple[str, int]:
    """Split "HOST:PORT", in which an IPv6 address stands in [ ]. Raises ValueError with what would be right."""
    host, colon, port = address.rpartition(":")
    number = int(port) if re.fullmatch(r"[0-9]{1,5}", port) else -1
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or not 0 <= number <= 65_535 or (":" in host and not bracketed):
        raise ValueError(f'{shown(address)} is no address to listen on: "HOST:PORT" such as "127.0.0.1:9464", or ""')
    return host.strip("[]"), number


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches the host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
