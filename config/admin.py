"""The admin site: its name, its desk."""

from unfold.sites import UnfoldAdminSite


class BlotterAdminSite(UnfoldAdminSite):
    site_title = site_header = "Blotter"
