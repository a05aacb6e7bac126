"""What `trainer/tune.py` stands on: what may change, rounds, trials and the file that keeps them."""
