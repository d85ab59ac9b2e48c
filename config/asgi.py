"""The web application, for any ASGI server."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_asgi_application()

# Only now: it needs the applications.
from config.door import keep_noting  # noqa: E402

keep_noting()
