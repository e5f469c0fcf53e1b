"""What is proved to be replicated goes at the source: what may go is decided apart from the deletion."""
