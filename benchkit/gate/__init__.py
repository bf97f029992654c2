"""The gate: rules on a candidate that is held against a baseline, and one place that decides."""
