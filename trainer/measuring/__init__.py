"""How good a model is: on labels, on known faults laid into held-out days, beside another model."""
