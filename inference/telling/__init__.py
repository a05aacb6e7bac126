"""What people are told: which incidents, in which words, through which channels."""
