"""The words of syncd: objects, keys and their times, errors, events and reasons. No I/O."""
