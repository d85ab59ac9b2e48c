#!/usr/bin/env python
"""Django's command line for Blotter; it has the embedded servers running where they are needed."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

from apps.logs.writer import writer
from config import embedded

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    with embedded.servers_for(sys.argv, Path(__file__).resolve().parent / ".blotter"):
        try:
            execute_from_command_line(sys.argv)
        finally:
            # While the embedded servers are still there.
            writer.close()
