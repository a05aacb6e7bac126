"""The commands of `pipit-trainer`, one file a group; `trainer/cli.py` loads each when it is used."""
