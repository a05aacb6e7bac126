"""Models turned on rows: the judges of a cycle, challengers, windows judged again, replay."""
