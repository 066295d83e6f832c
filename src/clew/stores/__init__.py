"""Where objects live: memory, a watched directory, SQLite. ``store.py`` is what they share."""
