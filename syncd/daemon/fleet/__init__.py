"""Slots: several daemons share the jobs, and each has the lease of one share."""
