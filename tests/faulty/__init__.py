"""A small S3 and STS in this process, with real semantics, whose faults are scripted and whose requests are counted.

    with FaultyS3() as server:
        world = server.world()                          # Account A, consumers B, C and Z
        server.put(world.bucket, "AWSLogs/…", b"…", last_modified=…)
        fault = server.faults.add(on("GetObject", key="…"), Status(503, "SlowDown"), times=2)
        …
        assert server.count("PutObject") == 1

It passes the same contract suite as the real servers. What it leaves out: SigV4 signatures are not verified, and
policies are not evaluated (an account may do everything with its own buckets and nothing with those of others).
"""

from faulty.answer import Answer
from faulty.faults import (
    Body,
    Call,
    CorruptBody,
    DropConnection,
    ErrorIn200,
    Fault,
    Faults,
    Rewritten,
    ShortBody,
    Slow,
    Stall,
    Status,
    WithoutHeaders,
    WrongChecksum,
    on,
)
from faulty.request import Request
from faulty.server import FaultyS3
from faulty.store import StoredObject
from faulty.sts import Principal

__all__ = [
    "Answer",
    "Body",
    "Call",
    "CorruptBody",
    "DropConnection",
    "ErrorIn200",
    "Fault",
    "Faults",
    "FaultyS3",
    "Principal",
    "Request",
    "Rewritten",
    "ShortBody",
    "Slow",
    "Stall",
    "Status",
    "StoredObject",
    "WithoutHeaders",
    "WrongChecksum",
    "on",
]
