"""The admin site under its own name; what it opens with is ``config/desk.py``."""

from unfold.sites import UnfoldAdminSite


class BlotterAdminSite(UnfoldAdminSite):
    """Django's admin in the theme, for Blotter."""

    site_title = site_header = "Blotter"
    index_title = "Desk"
