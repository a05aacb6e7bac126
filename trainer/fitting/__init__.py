"""Windows to what a bundle holds: what to leave out, the forests, the threshold, what is normal, golden rows."""
