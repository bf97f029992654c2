"""Cost of a model: each in a fresh process of its own, measured call by call beside the others."""
