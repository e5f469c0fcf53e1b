"""The prune of the source: what may go is decided apart from the deletion."""
