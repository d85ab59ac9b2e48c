"""Answers of others, kept for a while: asked once, given out many times, thrown away in time."""

from apps.market.services.cache.asking import Cached, LoadFailed, cached
from apps.market.services.cache.clearing import Preview, expire, invalidate, preview_invalidation
from apps.market.services.cache.counting import flush_at_exit, flush_counts
from apps.market.services.cache.entries import (
    Found,
    ReportedEntry,
    forget_rules,
    put_entries,
    read_entry,
)
from apps.market.services.cache.figures import CacheFigures, Days, Share, Top, cache_figures
from apps.market.services.cache.recall import Recall, Stale

__all__ = [
    "CacheFigures",
    "Cached",
    "Days",
    "Found",
    "LoadFailed",
    "Preview",
    "Recall",
    "ReportedEntry",
    "Share",
    "Stale",
    "Top",
    "cache_figures",
    "cached",
    "expire",
    "flush_at_exit",
    "flush_counts",
    "forget_rules",
    "invalidate",
    "preview_invalidation",
    "put_entries",
    "read_entry",
]
