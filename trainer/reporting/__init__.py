"""What the training report is made of: words, charts, advice."""
