"""The protocol of a copy, request by request, without I/O."""
