"""The tables of syncd.toml and of a job file, with the words for each key."""
