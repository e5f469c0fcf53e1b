"""One pass over one job: what to list, what to copy, and what that proves. No I/O."""
