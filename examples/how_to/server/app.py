"""A service that keeps every report it has made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]

REPORTS: list[bytes] = []


async def app(scope: dict[str, Any], receive: object, send: Send) -> None:
    """What uvicorn calls for each request."""
    REPORTS.append(b"x" * 16 * 1024)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
