"""What the trainer and the Pi must agree on: reading logs, features, scoring, bundles."""

__version__ = "0.1.0"
