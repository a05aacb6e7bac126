"""Around `inference/source.py`: which table and columns, which clock, and where reading begins."""
