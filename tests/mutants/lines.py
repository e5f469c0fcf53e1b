"""Wrong lines of the core, each of which some test has to notice."""

from mutant import Mutant

MUTANTS = (
    # tiers: how wide each listing is, and from where it looks back
    Mutant("tick/task", "return max(self.tail, self.lateness_of(DIGESTS))", "return self.tail"),
    Mutant("tick/task", "return max(self.recent, self.tail_effective)", "return self.recent"),
    Mutant("tick/task", "return max(self.deep, self.recent_effective + DAY_SECONDS)", "return self.deep"),
    Mutant(
        "tick/listing/tiers",
        "now - state.recent_at >= pace.recent_every",
        "now - state.recent_at > 9 * pace.recent_every",
    ),
    Mutant(
        "tick/listing/tiers", "min(frontier, state.recent_at) - pace.recent_effective", "now - pace.recent_effective"
    ),
    Mutant("tick/listing/tiers", "min(now, state.deep_done_at) - pace.deep_effective", "now - pace.deep_effective"),
    Mutant("tick/listing/tiers", "start - pace.deep_effective if start else 0.0", "start"),
    Mutant("tick/listing/tiers", "return min(now, state.listed_at, state.frontier or state.listed_at)", "return now"),
    Mutant(
        "tick/listing/tiers",
        "return max(recent, now - pace.deep_effective + DAY_SECONDS)",
        "return recent - DAY_SECONDS",
    ),
    Mutant(
        "tick/listing/tiers",
        "return self.tier in (Tier.FIRST, Tier.WINDOW, Tier.RECALL)",
        "return self.tier is Tier.WINDOW",
    ),
    Mutant("tick/task", "max(lateness, _DIGESTS_LATENESS_SECONDS) if kind == DIGESTS else lateness", "lateness"),
    Mutant(
        "tick/listing/tiers",
        "if max(cursors) > now + CLOCK_SKEW_SECONDS:",
        "if max(cursors) > now + 99 * CLOCK_SKEW_SECONDS:",
    ),
    Mutant(
        "tick/listing/tiers",
        "return max(one, other, key=_SEARCH_ORDER.index)",
        "return min(one, other, key=_SEARCH_ORDER.index)",
    ),
    Mutant(
        "tick/listing/tiers",
        "now - state.deep_done_at >= pace.deep_every * (1",
        "now - state.deep_at >= pace.deep_every * (1",
    ),
    # claims: what a listing proves, and what the horizon may say
    Mutant("tick/listing/horizon", "until = looked - pace.lateness_of(state.shard.kind)", "until = looked"),
    Mutant("tick/listing/horizon", "    oldest = first_within(missing, state.complete_from)", "    oldest = None"),
    Mutant(
        "tick/listing/horizon",
        "FoundBy.RECENT: min(state.listed_at, state.recent_at)",
        "FoundBy.RECENT: state.listed_at",
    ),
    Mutant(
        "tick/listing/horizon",
        "min(state.listed_at, state.recent_at, state.deep_done_at)",
        "min(state.listed_at, state.recent_at)",
    ),
    Mutant("tick/listing/horizon", "FoundBy.WHOLE: state.deep_done_at", "FoundBy.WHOLE: state.listed_at"),
    Mutant("tick/listing/horizon", "if stamp >= complete_from", "if stamp > complete_from"),
    Mutant("tick/listing/horizon", "max(listed.last_key, wanted.until) >= listed.slice.goal", "True"),
    Mutant("tick/listing/horizon", "listed.slice.since if is_done else state.deep_done_at", "listed.slice.since"),
    Mutant("tick/listing/horizon", "max(state.complete_from, listed.left_out_stamp + 1)", "state.complete_from"),
    Mutant(
        "tick/listing/horizon", "until = min(until, discovered_at - max(", "until = min(until, discovered_at + max("
    ),
    Mutant(
        "tick/listing/horizon",
        "complete_from = max(state.complete_from for",
        "complete_from = min(state.complete_from for",
    ),
    Mutant(
        "tick/listing/horizon",
        "any(not state.listed_at for state in states)",
        "all(not state.listed_at for state in states)",
    ),
    Mutant(
        "tick/listing/horizon", "complete_from=max(start, state.complete_from)", "complete_from=state.complete_from"
    ),
    Mutant("tick/listing/horizon", ") <= self.began_at]", ") <= self.began_at + 9e9]"),
    Mutant("tick/listing/horizon", "branches=branches, deep_done_at=0.0)", "branches=branches)"),
    Mutant(
        "tick/listing/horizon",
        "until = min(until, oldest - 1)\n    return state._replace",
        "until = min(until, oldest + 7200)\n    return state._replace",
    ),
    Mutant(
        "tick/listing/horizon",
        "until = min(until, oldest - 1)\n    return complete_from",
        "until = min(until, oldest + 7200)\n    return complete_from",
    ),
    # closing and survey: whose states move, and when
    Mutant(
        "tick/closing",
        "listed = visit.finished()\n    if listed:",
        "listed = list(visit.listed.values())\n    if listed:",
    ),
    Mutant("tick/closing", "if end < state.complete_from or first", "if first"),
    Mutant("tick/closing", "if any(first <= stamp < state.complete_from for stamp in missing):", "if False:"),
    Mutant("tick/closing", "        before = before._replace(complete_from=current.complete_from)", "        pass"),
    Mutant("tick/closing", "survey.discovered_at if is_whole and is_gone_through", "survey.discovered_at if is_whole"),
    Mutant("tick/closing", "end < state.complete_from or first >=", "end <= state.complete_from or first >="),
    Mutant("tick/closing", "or first >= state.complete_from:", "or first > state.complete_from:"),
    Mutant("tick/closing", "all(visit.state.listed_at or visit.finished()", "all(visit.finished()"),
    Mutant("tick/closing", "if task.window is None and is_whole and", "if is_whole and"),
    Mutant("tick/closing", "if task.window is None and is_whole and", "if task.window is None and"),
    Mutant("tick/closing", "if state.shard == task.shard]", "if True]"),
    Mutant("tick/closing", "if pair[0] >= state.complete_from]", "if pair[0] > state.complete_from]"),
    Mutant(
        "tick/closing", "if is_held and within and logged < SHARDS_LOGGED:", "if within and logged < SHARDS_LOGGED:"
    ),
    Mutant("tick/closing", "if is_held and within and logged < SHARDS_LOGGED:", "if is_held and within:"),
    Mutant("tick/closing", "min(within, key=lambda pair: pair[0])", "max(within, key=lambda pair: pair[0])"),
    Mutant(
        "tick/listing/sealing", "prefix in listed and is_dated and state.listed_at:", "is_dated and state.listed_at:"
    ),
    Mutant(
        "tick/listing/sealing",
        "prefix in listed and is_dated and state.listed_at:",
        "prefix in listed and state.listed_at:",
    ),
    Mutant("tick/listing/sealing", "            room -= ledger", "            ledger"),
    Mutant("tick/listing/horizon", "if discovered_at > now + CLOCK_SKEW_SECONDS:", "if discovered_at > now:"),
    Mutant(
        "tick/listing/survey",
        "len(whole) == len(self.slices) and not self.unresolved",
        "len(whole) == len(self.slices)",
    ),
    Mutant("tick/listing/survey", "if is_tick and not discovered.uncovered else None", "if is_tick else None"),
    Mutant("tick/listing/survey", "kept[prefix] = tiers.as_of(state, began_at)", "kept[prefix] = state"),
    Mutant("tick/listing/survey", "        found.start = start\n", "        found.start = task.start(began_at)\n"),
    Mutant("tick/listing/survey", "found.start if told is None else min(found.start, told)", "found.start"),
    Mutant("tick/listing/survey", "return state._replace(found_by=FoundBy.WHOLE, deep_done_at=0.0)", "return state"),
    Mutant(
        "tick/listing/survey",
        "return whole if len(whole) == len(self.slices) and not self.unresolved else []",
        "return whole",
    ),
    Mutant("tick/listing/survey", "return max(stamps, default=None)", "return min(stamps, default=None)"),
    Mutant("tick/listing/survey", "return min(stamps, default=None)", "return max(stamps, default=None)"),
    Mutant("tick/listing/survey", "    if task.was_here:\n", "    if True:\n"),
    # sealing and what a listing makes of sealed days
    Mutant("tick/listing/sealing", "(was.count, was.digest) == (now.total, now.digest)", "True"),
    Mutant("tick/listing/sealing", "return now.total == 0 or (was.exact", "return (was.exact"),
    Mutant(
        "tick/listing/sealing",
        "if (was.count, was.size_bytes) != (now.count, now.size_bytes):",
        "if was.count != now.count:",
    ),
    Mutant("tick/listing/sealing", "or was.replica_digest == now.replica_digest", "or True"),
    Mutant(
        "tick/listing/sealing", "min(now, state.deep_done_at or now) - pace.deep_effective", "now - pace.deep_effective"
    ),
    Mutant("tick/listing/sealing", "min(frontier, state.recent_at or now) - pace.recent_effective", "deep"),
    Mutant("tick/listing/sealing", "min(deep, recent) - DAY_SECONDS", "min(deep, recent) + 2 * DAY_SECONDS"),
    Mutant(
        "tick/listing/sealing",
        "return now.total == 0 or (was.exact and (was.count, was.digest) == (now.total, now.digest))",
        "return True",
    ),
    Mutant("tick/search", "return rules._replace(ran_here=False) if is_altered else rules", "return rules"),
    Mutant("tick/handover", "            visit.unresolved += 1\n\n", "            pass\n\n"),
    Mutant("tick/handover", "        self._recorder.begin_anew()\n", ""),
    Mutant("tick/retries", "held.next_at <= self._began_at or held.next_at > latest", "held.next_at <= self._began_at"),
    Mutant("tick/retries", "held.next_at <= self._began_at or held.next_at > latest", "held.next_at > self._began_at"),
    Mutant(
        "tick/tick",
        "if task.window is not None or self._survey.is_hinted or listed_before or self._stop.is_set():",
        "if True:",
    ),
    # plan: what is there, and what has to be looked at
    Mutant("tick/listing/plan", "if remembered.size_bytes != replica.size_bytes:", "if False:"),
    Mutant("tick/listing/plan", "bool(known and replica.etag) and not is_same_etag(known, replica.etag)", "False"),
    Mutant("tick/listing/plan", "if item.size_bytes != replica.size_bytes:", "if False:"),
    Mutant("tick/listing/plan", "return ran_here and is_untouched and", "return is_untouched and"),
    Mutant("tick/listing/plan", "is_untouched = item.last_modified < replica.last_modified", "is_untouched = True"),
    Mutant("tick/listing/plan", "    elif is_listed and replica is None:", "    elif False:"),
    Mutant(
        "tick/listing/plan",
        "replica is not None and not is_in_conflict and vouches(",
        "replica is not None and vouches(",
    ),
    Mutant(
        "tick/listing/plan",
        "rules.accepted.get(item.key) == (item.etag, item.storage_class)",
        "item.key in rules.accepted",
    ),
    Mutant("tick/listing/plan", "transfer._replace(compare_first=remembered is not None)", "transfer"),
    Mutant(
        "tick/listing/plan",
        "replica is not None and vouches(item, replica, ran_here=ran_here):",
        "replica is not None:",
    ),
    # discovery and layouts: where keys may lie
    Mutant("tick/listing/discovery", "found.stalest_look = min(found.stalest_look, looks[node.prefix][0])", "pass"),
    Mutant("tick/listing/discovery", "if look[0] <= now and is_of(", "if is_of("),
    Mutant(
        "tick/listing/discovery",
        "node.prefix in stale or node.prefix in also or node.prefix not in reached]",
        "node.prefix in stale or node.prefix in also or node.prefix not in looks]",
    ),
    Mutant("tick/listing/discovery", "            found.uncovered += below.uncovered", "            pass"),
    Mutant("model/keys/layout", "return min(found, day_end_instant(day)) if day else found", "return found"),
    Mutant(
        "model/keys/layout",
        "return FoundBy.RECENT if _is_searched_inside_days(shard) else",
        "return FoundBy.TAIL if shard else",
    ),
    Mutant("model/keys/layout", "{day.replace('-', '/')}0", "{day.replace('-', '/')}/~"),
    Mutant("model/keys/layout", "if whole_day or not _is_searched_inside_days(shard):", "if whole_day:"),
    Mutant(
        "model/keys/patterns", "return FoundBy.DEEP if self.day(shard, key) else FoundBy.WHOLE", "return FoundBy.TAIL"
    ),
    Mutant("check/source", "parts.append(max(names))", "parts.append(min(names))"),
    # sides, audit, recorder: the destination, and one object's misfortune
    Mutant("tick/side_by_side", "            if self._is_at_end or self._newest_key >= key:", "            if True:"),
    Mutant("tick/side_by_side", "return None if self._lister.is_denied else self._waiting", "return self._waiting"),
    Mutant("tick/audit", "is_due = visit.state.audit_key or now", "is_due = now"),
    Mutant("tick/audit", "now - visit.state.sealed_audited_at >= pace.audit_sealed_every", "False"),
    Mutant("tick/audit", "            if key in self._accepted or key in", "            if key in"),
    Mutant(
        "tick/audit",
        "            if replica is not None and not is_another(known, replica):",
        "            if replica is not None:",
    ),
    Mutant(
        "tick/audit",
        "                if not self._is_same_there(state.shard, was, found[day]):",
        "                if False:",
    ),
    Mutant(
        "tick/audit",
        "            self._recorder.note(Failed(transfer, Reason.REPLICA_LOST, detail))",
        "            pass",
    ),
    Mutant(
        "tick/recorder",
        "if is_new and reason in (Reason.ACCESS_DENIED, *reasons.OF_A_KEY)",
        "if reason in (Reason.ACCESS_DENIED, *reasons.OF_A_KEY)",
    ),
    Mutant(
        "tick/recorder",
        "if self._denied_before and self._denied_in_a_row and not self.counts.copied:",
        "if self._denied_before and not self.counts.copied:",
    ),
    Mutant("tick/recorder", "        self.in_progress.add(transfer.object.key)", "        pass"),
    Mutant(
        "tick/recorder", "                self.in_progress.discard(outcome.transfer.object.key)", "                pass"
    ),
    Mutant(
        "tick/recorder",
        "(Reason.ACCESS_DENIED, *reasons.OF_A_KEY) and not self.counts.copied:",
        "() and not self.counts.copied:",
    ),
)
