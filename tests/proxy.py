"""A forward proxy on loopback that passes CONNECT on, and remembers where to."""

import contextlib
import socket
import threading
from typing import Self


class ConnectProxy:
    """Listens from `__enter__` to `__exit__`."""

    def __init__(self, *, refusal: str = "") -> None:
        """`refusal` is the status line's end with which it answers every CONNECT, such as `403 Forbidden`."""
        self._refusal = refusal
        self.targets: list[str] = []
        """HOST:PORT of every CONNECT."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._sockets: list[socket.socket] = []
        self._is_closed = False

    @property
    def url(self) -> str:
        """What HTTPS_PROXY names."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="proxy-accept", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed = True
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            threading.Thread(target=self._serve, args=(client,), name="proxy", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(4096)
            if not piece:
                return
            head += piece
        method, target, _ = head.split(b"\r\n")[0].decode().split()
        self.targets.append(f"{method} {target}")
        refusal = self._refusal or ("405 Method Not Allowed" if method != "CONNECT" else "")
        if refusal:
            client.sendall(f"HTTP/1.1 {refusal}\r\ncontent-length: 0\r\n\r\n".encode())
            client.close()
            return
        host, _, port = target.rpartition(":")
        server = socket.create_connection((host, int(port)))
        self._sockets.append(server)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=_pump, args=(server, client), name="proxy-back", daemon=True).start()
        _pump(client, server)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
