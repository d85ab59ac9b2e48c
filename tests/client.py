"""A program that calls the API, as tests need it."""

import json
from typing import Any

from django.test import Client


class ApiClient:
    """Calls with a key; bodies are JSON unless they are bytes already."""

    def __init__(self, key: str = "") -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        kind: str = "application/json",
        **extra: Any,
    ) -> Any:
        return self.client.generic(method, path, body, kind, headers=self.headers, **extra)

    def get(self, path: str) -> Any:
        return self.send("GET", path)

    def post(self, path: str, value: Any) -> Any:
        return self.send("POST", path, json.dumps(value).encode())

    def put(self, path: str, value: Any) -> Any:
        return self.send("PUT", path, json.dumps(value).encode())

    def patch(self, path: str, value: Any) -> Any:
        return self.send("PATCH", path, json.dumps(value).encode())

    def post_bytes(self, path: str, body: bytes, kind: str = "application/json") -> Any:
        return self.send("POST", path, body, kind)
