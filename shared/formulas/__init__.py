"""The formulas of agent files: the functions they are made of, and how one becomes a number of a window."""
