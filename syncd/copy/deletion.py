"""The requests that take an object away or replace one. A contract says which modules may import this one."""

from syncd.aws.s3 import Request, Side
from syncd.copy.write import IF_NEW


def delete_object(side: Side, key: str, *, if_match: str = "") -> Request:
    """Return a DeleteObject request, with `if_match` only of an object that has this ETag."""
    condition = (("if-match", f'"{if_match}"'),) if if_match else ()
    return Request("DeleteObject", side, "DELETE", key, "", condition)


def replacing(request: Request, etag: str) -> Request:
    """Return a write of a new object as one that replaces the object with this ETag, and no other."""
    headers = [header for header in request.headers if header != IF_NEW]
    return request._replace(headers=(*headers, ("if-match", f'"{etag}"')))
