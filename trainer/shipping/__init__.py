"""Around `trainer/ship.py`: the steps, receipts, history, fleets, and what people said on the Pis."""
