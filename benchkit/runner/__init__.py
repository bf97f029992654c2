"""Run a plan: every model on every task, one cell after the other, yielding a result as soon as it is there."""
