"""The configuration: TOML files, checked and turned into frozen values."""
