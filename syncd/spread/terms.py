"""The terms of a job on which its owner and its workers have to agree: what is copied, and how replicas are written. Pure."""

import json
from hashlib import sha256

from syncd.config.job import Job

_OF_READING = frozenset({"role", "max_objects_per_tick"})
_OF_WRITING = frozenset({"copy_mode", "signer", "multipart_above", "part_size"})
"""Keys in which a worker may differ: who reads, how much at once, and by what calls."""


def terms_of(job: Job) -> str:
    """Return a hash of the terms."""
    source = job.source.model_dump(mode="json", exclude=set(_OF_READING))
    destination = job.destination.model_dump(mode="json", exclude=set(_OF_WRITING))
    return sha256(json.dumps([source, destination], sort_keys=True).encode()).hexdigest()[:32]
