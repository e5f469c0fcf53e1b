"""The wire: S3 and STS requests, endpoints, listings, and what servers may send."""
