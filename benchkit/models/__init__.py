"""Embedding models: short names, files on disk, the hub, and one loader per kind of model."""
