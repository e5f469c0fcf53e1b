"""DeleteObject, the one request that takes an object away. A contract says which modules may import this one."""

from syncd.aws.s3 import Request, Side


def delete_object(side: Side, key: str, *, if_match: str = "") -> Request:
    """Return a DeleteObject request, with `if_match` only of an object that has this ETag."""
    condition = (("if-match", f'"{if_match}"'),) if if_match else ()
    return Request("DeleteObject", side, "DELETE", key, "", condition)
