"""How an object is copied, request by request, without I/O."""
