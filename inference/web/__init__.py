"""The Pi's admin pages and API: a process of its own that reads the daemon's state and writes wishes, never models."""
