"""The ASGI application. What is asked often is answered here, below FastAPI; what is asked seldom is FastAPI's."""

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

from evergreen.serving.body import Gone, Reader, Receive
from evergreen.serving.handles import Problem
from evergreen.serving.keys import Scope as KeyScope
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.metrics import Tally
from evergreen.serving.refused import Refused
from evergreen.serving.security import Guard
from evergreen.serving.shortcut import Shortcut
from evergreen.serving.wire import Ask, Reply, Scope, Send, fail, refuse, send_reply

log = logging.getLogger("evergreen.serving")

Handler = Callable[[str, Ask], Awaitable[Reply]]
"""Answers a request about a model: its name, or empty where the request names none."""

App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Route:
    """Something that is posted: its name in the metrics, the scope that a key needs, and who answers."""

    name: str
    scope: KeyScope
    handle: Handler


class Application:
    """Predictions and feedback at once, all else by way of `others`.

    A server that has a whole request may ask `shortcut` first.
    """

    def __init__(
        self,
        loaded: LoadedModels,
        guard: Guard,
        reader: Reader,
        tally: Tally,
        ids: Callable[[], str],
        routes: Mapping[str, Route],
    ) -> None:
        self._loaded, self._guard, self._reader, self._tally, self._ids = loaded, guard, reader, tally, ids
        self._routes = routes
        self._whole = {f"/{name}": (route, "") for name, route in routes.items()}
        self.others: App | None = None
        self.shortcut: Shortcut | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or take part in the start and end of the server."""
        if scope["type"] == "http":
            found = self._whole.get(scope["path"]) or self._of_model(scope["path"])
            if found is not None:
                await self._serve(found, scope, receive, send)
                return
        if scope["type"] != "websocket" and self.others is not None:
            await self.others(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    def _of_model(self, path: str) -> tuple[Route, str] | None:
        """`/models/<name>/predict` and its like."""
        if not path.startswith("/models/"):
            return None
        name, _, what = path.removeprefix("/models/").partition("/")
        route = self._routes.get(what)
        return None if route is None else (route, name)

    async def _serve(self, found: tuple[Route, str], scope: Scope, receive: Receive, send: Send) -> None:
        route, model = found
        request_id, began = self._ids(), perf_counter()
        problems: tuple[Problem, ...] = ()
        try:
            reply = await self._reply(route, model, request_id, scope, receive)
        except Refused as refused:
            self._tally.refusals[refused.kind] += 1
            reply, problems = refuse(refused), refused.problems
        except Gone:
            self._tally.refusals["gone"] += 1
            return
        except Exception as error:
            self._tally.refusals["internal"] += 1
            log_failure(request_id, route.name, error)
            reply = fail(request_id)
        await send_reply(send, reply, request_id)
        about = reply.model or self._named(model)
        self._tally.request(route.name, about, reply.status, perf_counter() - began, problems)

    def _named(self, name: str) -> str:
        """The model that an address names, or the only one; empty for names that anybody may invent."""
        names = self._loaded.names
        if not name:
            return names[0] if len(names) == 1 else ""
        return name if name in names else ""

    async def _reply(self, route: Route, model: str, request_id: str, scope: Scope, receive: Receive) -> Reply:
        headers = dict(scope["headers"])
        self._guard.admit(headers, scope.get("client"), route.scope)
        if scope["method"] != "POST":
            raise Refused(405, "method", "this is asked with POST", headers=((b"allow", b"POST"),))
        body = await self._reader.read(receive, headers)
        try:
            return await route.handle(model, Ask(request_id, headers, body, perf_counter()))
        finally:
            self._reader.release(body)


def log_failure(request_id: str, what: str, error: BaseException) -> None:
    """Say where something broke. What the error says may hold somebody's features, and is left out."""
    lines = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error("%s %s: %s at\n  %s", request_id, what, type(error).__name__, "\n  ".join(lines[-12:]))
