"""What a tick lists, and what a listing proves: shards, tiers, the horizon, sealed days."""
