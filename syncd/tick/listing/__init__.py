"""Shards, tiers, sealed days and the horizon: what a tick lists, and what that proves."""
