"""HTTP sessions whose connections can be cut from outside, for what speaks through requests."""

import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

# For one read; the whole is bounded by ``base.within``.
READ_SECONDS = 10.0


class Sockets:
    """The open connections of one session, until they are cut; then none is let open."""

    def __init__(self) -> None:
        self.open: list[socket.socket] = []
        self.cut_off = False

    def add(self, connection: socket.socket) -> None:
        self.open.append(connection)
        if self.cut_off:
            self.cut()

    def cut(self) -> None:
        self.cut_off = True
        while self.open:
            try:
                # TLS has a shutdown of its own, which would wait for the other side.
                socket.socket.shutdown(self.open.pop(), socket.SHUT_RDWR)
            except OSError:
                # Closed already, which is what is wanted.
                continue


class CuttableSession(requests.Session):
    """A session that gives every request a time limit, and that ``cut`` ends for good."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets = Sockets()
        for scheme in ("http://", "https://"):
            self.mount(scheme, CuttableAdapter(self.sockets))

    def cut(self) -> None:
        """Shut every connection down, now and later; whoever reads from one gets an error."""
        self.sockets.cut()


class CuttableAdapter(HTTPAdapter):
    """Notes the socket of each connection it opens."""

    def __init__(self, sockets: Sockets) -> None:
        self.sockets = sockets
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        sockets = self.sockets

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                sockets.add(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                sockets.add(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> requests.Response:
        # Some clients set no time limit, and would wait for ever.
        return super().send(request, stream, timeout or READ_SECONDS, *args, **kwargs)
