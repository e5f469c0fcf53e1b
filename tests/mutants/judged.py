"""Faults that no test of the core needs to notice: each shows that the simulation's judge finds what it is there for."""

from mutant import Mutant

JUDGED = (
    ("overwritten", Mutant("copy/write", '("if-none-match", "*")', '("x-amz-meta-none", "*")')),
    ("invented", Mutant("copy/write", "IF_NEW), body)", 'IF_NEW), body + b"!")')),
    (
        "future",
        Mutant("tick/listing/horizon", "return complete_from, max(0.0, until)", "return complete_from, until + 9000"),
    ),
    (
        "lie",
        Mutant("tick/listing/horizon", "    oldest = first_within(missing, state.complete_from)", "    oldest = None"),
    ),
    ("start moved", Mutant("tick/listing/survey", "start > began_at + tiers.CLOCK_SKEW_SECONDS", "start < began_at")),
    ("late", Mutant("tick/listing/tiers", "    if now < due and not state.deep_key:", "    if True:")),
    ("delayed", Mutant("tick/listing/tiers", "frontier - pace.tail_effective", "now")),
    (
        "missing",
        Mutant(
            "tick/listing/plan", "if item.key in in_progress:", 'if item.key in in_progress or item.etag[-1:] == "7":'
        ),
    ),
    ("other content after all", Mutant("tick/listing/plan", "elif remembered.etag != item.etag:", "elif False:")),
    (
        "not restored",
        Mutant(
            "tick/audit",
            "            item = LogObject(key, known.etag or",
            "            continue\n            item = LogObject(key, known.etag or",
        ),
    ),
    (
        "not restored after all",
        Mutant("tick/listing/plan", "    elif is_listed and replica is None:", "    elif False:"),
    ),
    (
        "forged",
        Mutant(
            "tick/listing/plan",
            "return bool(known and replica.etag) and not is_same_etag(known, replica.etag)",
            "return False",
        ),
    ),
    ("stuck", Mutant("tick/search", "        yield from self.tried_again()\n", "")),
    (
        "stalled",
        Mutant("tick/listing/horizon", "until = looked - pace.lateness_of", "until = looked - 9e5 - pace.lateness_of"),
    ),
    (
        "unrest",
        Mutant(
            "tick/listing/plan",
            "        made.skipped[SkipReason.ALREADY_COPIED] += 1",
            "        made.transfers.append(transfer)",
        ),
    ),
    (
        "raised",
        Mutant(
            "tick/listing/plan",
            "    made, there = _Made(), 0",
            "    made, there = _Made(), 0\n    assert len(page.objects) < 9",
        ),
    ),
)
"""Kinds of finding, each with a fault that brings it about."""
