"""HTTP sessions whose connections can be cut from outside, for what speaks through requests."""

import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

# For one read; the whole is bounded by ``base.within``.
READ_SECONDS = 10.0


class CuttableSession(requests.Session):
    """A session that gives every request a time limit and that ``cut`` ends at once."""

    def __init__(self) -> None:
        super().__init__()
        self.open_sockets: list[socket.socket] = []
        for scheme in ("http://", "https://"):
            self.mount(scheme, CuttableAdapter(self.open_sockets))

    def cut(self) -> None:
        """Shut every connection down; whoever reads from one gets an error."""
        while self.open_sockets:
            connection = self.open_sockets.pop()
            try:
                # TLS has a shutdown of its own, which would wait for the other side.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:
                # Closed already, which is what is wanted.
                continue


class CuttableAdapter(HTTPAdapter):
    """Notes the socket of each connection it opens."""

    def __init__(self, open_sockets: list[socket.socket]) -> None:
        self.open_sockets = open_sockets
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        opened = self.open_sockets

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                opened.append(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                opened.append(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    def send(self, request: Any, **kwargs: Any) -> Any:
        # Some clients set none, and would wait for ever.
        kwargs["timeout"] = kwargs.get("timeout") or READ_SECONDS
        return super().send(request, **kwargs)
