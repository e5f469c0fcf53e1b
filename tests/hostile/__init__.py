"""Servers that keep to no protocol, and what they do to the jobs beside their own."""
