"""The Pi's admin pages and API: a process of its own that reads the daemon's state and writes wishes, never models."""

from inference.web.app import create_app

__all__ = ["create_app"]
