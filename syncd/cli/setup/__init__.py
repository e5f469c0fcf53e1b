"""The verbs that set up a job, and what they ask, write and grant."""
