"""What is done about a replica that digests contradict: it is healed, held, told and, if asked for, repaired."""
