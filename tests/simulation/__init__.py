"""Sixty days of a trail in a few seconds: how logs really arrive, and what a puller makes of them."""
