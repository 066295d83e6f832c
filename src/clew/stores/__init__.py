"""Where objects live: SQLite, or a watched directory. ``store.py`` is what they share."""
