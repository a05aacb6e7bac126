"""The commands of `pipit-inference` that need more than the daemon."""
