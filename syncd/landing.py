"""What a job wants its replicas to carry, as the headers of every write. Pure."""

from urllib.parse import quote

from syncd.config import Job


def landing_of(job: Job) -> tuple[tuple[str, str], ...]:
    """Storage class, encryption, tags and ACL as PutObject, CopyObject and CreateMultipartUpload take them."""
    destination = job.destination
    headers = []
    if destination.storage_class is not None:
        headers.append(("x-amz-storage-class", destination.storage_class))
    if destination.kms_key_id is not None:
        headers.append(("x-amz-server-side-encryption", "aws:kms"))
        headers.append(("x-amz-server-side-encryption-aws-kms-key-id", destination.kms_key_id))
    if destination.tags:
        pairs = (f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in destination.tags.items())
        headers.append(("x-amz-tagging", "&".join(pairs)))
    if destination.acl is not None:
        headers.append(("x-amz-acl", destination.acl))
    return tuple(headers)
