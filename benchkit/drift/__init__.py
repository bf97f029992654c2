"""Drift of embeddings as numbers: arrays in, statistics, p-values and evidence out; nothing is read or written."""
