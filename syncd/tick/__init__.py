"""One pass over one job: what to look at, what to copy, and what that proves. No I/O."""
