"""Measurements of what operations.md promises, each as a ratio of two sides in one run."""
