"""What servers serve here: the same work under ASGI and WSGI, which keeps memory or does not.

Run by the servers that `test_servers.py` starts, in processes of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

KEPT: list[object] = []

# 2,000 requests keep 31 MiB.
KEPT_BYTES = 16 * 1024


def clean() -> None:
    """200 KB in small pieces, and none of it stays."""
    assert len([bytes(1_000) for _ in range(200)]) == 200


def leak() -> None:
    """The same, and 16 KiB stay."""
    clean()
    KEPT.append(b"x" * KEPT_BYTES)


def burst() -> None:
    """60 MB of which nothing stays, but for 100 KB above the rest."""
    rows = [b"%3000d" % number for number in range(20_000)]
    KEPT.append(b"x" * 100_000)
    del rows


WORK: dict[str, Callable[[], None]] = {"/clean": clean, "/leak": leak, "/burst": burst}


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """For uvicorn."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    WORK[scope["path"]]()
    # Without a body the answer is one packet: a second one would wait 40 ms for the first to be
    # acknowledged, since uvicorn's workers share a socket that asyncio does not know for TCP.
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def wsgi(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> Iterable[bytes]:
    """For gunicorn."""
    WORK[environ["PATH_INFO"]]()
    start_response("204 No Content", [])
    return []
