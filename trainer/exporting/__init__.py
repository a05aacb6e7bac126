"""What `trainer/export.py` stands on: the statement, the copy that can be given up, the forms of the file."""
