"""Backups: a dump of one moment with what it must hold, and the proof that it can be restored."""
