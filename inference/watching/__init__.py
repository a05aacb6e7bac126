"""How the models do: performance, drift, fitness to serve."""
