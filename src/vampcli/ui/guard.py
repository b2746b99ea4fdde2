"""Who may talk to the server: this machine, by its own address, from its own pages, with the token."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Refuse requests of other hosts and pages, and those without the token; set headers of all answers.

    Args:
        app: behind it.
        hosts: values of `Host` that are the server's own.
        token: first part of every path.
        open_paths: beginnings of paths that need no token.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str], token: str, open_paths: Sequence[str] = ()) -> None:
        self.app, self.hosts, self.token, self.open_paths = app, hosts, token, tuple(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)  # the start and end of the server; there are no other routes
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *((n, v) for n, v in more if n not in known)]
            await send(message)

        refused = self._refuse(Request(scope))
        await (refused or self.app)(scope, receive, send_with_headers)

    def _refuse(self, request: Request) -> Response | None:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if host not in self.hosts:
            return answer(request, 403, f"the request is for the host {host!r}", f"use {self.hosts[0]}")
        if origin is not None and origin not in [f"http://{one}" for one in self.hosts]:
            return answer(request, 403, f"the request comes from the page of {origin}", "open the page of vamp itself")
        if request.headers.get("sec-fetch-site") == "cross-site" and request.method != "GET":
            return answer(request, 403, "the request comes from another page", "open the page of vamp itself")
        if request.url.path.startswith(self.open_paths or "\0"):
            return None
        token = request.url.path.split("/")[1]
        if not secrets.compare_digest(token.encode(), self.token.encode()):
            return answer(request, 403, "the address has not the token of this server", "copy it from the terminal")
        return None


def answer(request: Request, status: int, message: str, hint: str = "") -> Response:
    """Return an error: as a page where a browser opens one, else as JSON."""
    if "text/html" in request.headers.get("accept", ""):
        page = (
            f"<!doctype html><html lang=en><title>vamp: {status}</title><h1>{escape(message)}</h1><p>{escape(hint)}</p>"
        )
        return HTMLResponse(page, status)
    return JSONResponse({"error": message, "hint": hint}, status)
