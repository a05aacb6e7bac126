"""Around `inference/reconcile.py`: taking a bundle in, keeping it, trying it, giving it up, telling the trainer."""
