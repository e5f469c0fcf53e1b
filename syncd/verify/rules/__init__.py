"""The rules of the proof, pure: what digests, keys and hashes prove, and in which words. Bytes go in, verdicts come out."""
