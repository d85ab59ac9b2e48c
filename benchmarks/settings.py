"""The product's own settings, with the addresses of what it is measured against."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.peers"
