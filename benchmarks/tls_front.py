"""TLS in front of a server that speaks none: `python tls_front.py PORT TARGET_PORT CERTIFICATE`."""

import asyncio
import contextlib
import ssl
import sys

PIECE_BYTES = 256 * 1024


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on everything until the end."""
    with contextlib.suppress(OSError):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    writer.close()


async def serve(port: int, target: int, certificate: str) -> None:
    """Pass on every connection, for good."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection("127.0.0.1", target, limit=PIECE_BYTES)
        await asyncio.gather(pump(reader, behind[1]), pump(behind[0], writer))

    server = await asyncio.start_server(accepted, "127.0.0.1", port, ssl=context, limit=PIECE_BYTES, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
