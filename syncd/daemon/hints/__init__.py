"""Hints: messages in queues that an object may be there, which hasten the tick of its job."""
