"""Use cases of the executions app: what runs tell of themselves, our own work, and the watch."""
