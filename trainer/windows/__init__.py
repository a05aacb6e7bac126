"""Exports to windows: the rows as one stream, read once, on every core, into arrays."""
