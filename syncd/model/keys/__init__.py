"""Keys and their grammar: prefixes of trails, layouts, days and stamps."""
