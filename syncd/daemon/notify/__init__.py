"""Notifications to the outside: systemd, heartbeats and webhooks."""
