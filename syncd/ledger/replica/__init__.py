"""The rows of one replica: read, written, sealed and swept."""
