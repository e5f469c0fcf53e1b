"""A CloudTrail that answers ListPublicKeys, which no other server on loopback knows."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from syncd.verify.rules.keys import Keys


@contextmanager
def lists_keys(keys: Keys, *, status: int = 200) -> Iterator[str]:
    """Yields the address of a server that lists these keys, whatever region is asked. Another status refuses."""
    refusal = {"__type": "AccessDeniedException", "Message": "not authorized to perform: cloudtrail:ListPublicKeys"}
    body = json.dumps(
        refusal
        if status != 200
        else {
            "PublicKeyList": [
                {
                    "Value": b64encode(key.der).decode(),
                    "Fingerprint": key.fingerprint,
                    "ValidityStartTime": key.starts,
                    "ValidityEndTime": key.ends,
                }
                for key in keys.all()
            ]
        }
    ).encode()

    class CloudTrail(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), CloudTrail)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
