"""Results where others can find them: MLflow for the few numbers that one sorts by, Parquet for items and timed calls.

report (the JSON form) ── schema ──> names and rows ── mlflow_store ──> MLflow at the place that uri has made ready
CellResults ── items ──> items.parquet ── items ──> ItemScores, to be resampled without any model
CostSamples ── cost_samples ──> costs.parquet
"""
