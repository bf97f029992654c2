"""Production embeddings as rows: files, object stores and vector databases."""
