"""Placeholder for the embedded servers."""

import secrets
from pathlib import Path

import environ


def kept_secret(home: Path, name: str) -> str:
    path = home / "secrets" / name.lower()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48))
    return path.read_text().strip()


def database_url(home: Path) -> str:
    return "postgres://postgres@127.0.0.1:55432/dev"


def redis_url(home: Path) -> str:
    return "redis://127.0.0.1:56379/0"


def database_settings(url: str) -> dict:
    return dict(environ.Env.db_url_config(url))
