"""Around `inference/state.py`: its tables, reading, writing, and room on the disk."""
