"""What is kept for how long, and how rows leave: planned, archived, verified, deleted, restored."""
