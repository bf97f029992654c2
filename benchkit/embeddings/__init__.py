"""Vectors as things to keep: who made them from which text, where they lie, and how they are cut and packed."""
