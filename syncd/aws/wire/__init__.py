"""One connection's answers: their bounds, and the certificates that are trusted."""
