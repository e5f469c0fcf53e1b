"""The response to a replica that digests contradict: it is healed, and the horizon is held to what is found."""
