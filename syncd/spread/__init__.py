"""Catch-ups spread over many machines: an owner sends tasks, workers do them, a listing can check all of it."""
