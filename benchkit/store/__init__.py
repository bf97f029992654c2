"""Results where others can find them: MLflow for the few numbers that one sorts by, Parquet for the scores of items.

report (the JSON form) ── schema ──> names and rows ── mlflow_store ──> MLflow at the place that uri has made ready
CellResults ── items ──> items.parquet ── items ──> ItemScores, to be resampled without any model
"""
