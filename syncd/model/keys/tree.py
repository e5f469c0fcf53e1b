"""The order of keys in stores that keep a tree: folder by folder, each by the names in it. `a/b` comes before `a-b`."""


def in_tree(key: str) -> str:
    """Return a text that sorts as such a store lists the key."""
    # A slash sorts before whatever else a name may hold.
    return key.replace("/", "\0")
