"""The admin kernel: the bases that declare what kind a model is."""

from apps.shared.admin.bases import DerivedAdmin, EntityAdmin, FactAdmin

__all__ = ["DerivedAdmin", "EntityAdmin", "FactAdmin"]
