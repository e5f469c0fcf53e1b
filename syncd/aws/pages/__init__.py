"""Pages of a listing: the document of ListObjectsV2 taken apart, and checked before anything uses it."""
