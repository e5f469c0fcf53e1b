"""The checksums and hashes of what is copied."""
