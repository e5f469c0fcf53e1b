"""`syncd check`: a job's permissions, each tried for real, and the statements that are missing."""
