"""`syncd demo`: the whole product against an embedded AWS."""
