"""The proof: CloudTrail's digest chain, checked on the replica, and the evidence of it."""
