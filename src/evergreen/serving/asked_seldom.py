"""What is asked seldom: whether the server lives and is ready, what it serves, its metrics and its documents."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from evergreen.serving.app import log_failure
from evergreen.serving.document import components, posted
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.metrics import Board
from evergreen.serving.refused import Refused
from evergreen.serving.security import PAGE_HEADERS, Guard
from evergreen.serving.state import Readiness, State, Version

if TYPE_CHECKING:
    from evergreen.serving.app import App

_KINDS = {404: ("not_found", "there is nothing at this address; see /docs"), 405: ("method", "this is asked with GET")}
_PAGES = {"page.css": "text/css", "page.js": "text/javascript"}


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"] = "ok"


def build_pages(
    loaded: LoadedModels, guard: Guard, state: State, board: Board, ids: Callable[[], str], version: str
) -> "App":
    """The FastAPI application, with one form of error for everything."""
    app = FastAPI(title="Evergreen serving", version=version, docs_url=None, redoc_url=None, openapi_url=None)
    _add_errors(app, ids)
    _add_state(app, guard, state, board)
    _add_documents(app, guard, loaded)
    return app


def _add_state(app: FastAPI, guard: Guard, state: State, board: Board) -> None:
    registry = CollectorRegistry()
    registry.register(board)

    @app.get("/health", tags=["server"], summary="The process lives")
    async def health() -> Health:
        return Health()

    @app.get("/ready", tags=["server"], summary="Every model has a champion", response_model=Readiness)
    async def ready(request: Request) -> Response:
        """503 until every model is loaded. Without a valid key, where keys are wanted, the status alone."""
        found = state.readiness(in_full=guard.knows(_headers(request)))
        status = 200 if found.status == "ready" else 503
        return Response(found.model_dump_json(exclude_none=True), status, media_type="application/json")

    @app.get("/version", tags=["server"], summary="What is served")
    async def version(request: Request) -> Version:
        """Versions of Evergreen and of every model."""
        guard.admit(_headers(request), request.client, None)
        return state.version()

    @app.get("/metrics", tags=["server"], summary="For Prometheus", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """Requests, errors, latency, batches, queues, versions, swaps and capture."""
        guard.admit(_headers(request), request.client, None)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _add_documents(app: FastAPI, guard: Guard, loaded: LoadedModels) -> None:
    document = _Document(app, loaded)
    folder = files("evergreen.serving") / "pages"
    page = (folder / "docs.html").read_text(encoding="utf-8")
    parts = {name: (folder / name).read_text(encoding="utf-8") for name in _PAGES}

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> dict[str, Any]:
        guard.admit(_headers(request), request.client, None)
        return document.now()

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(page, media_type="text/html", headers=_of_pages())

    @app.get("/docs/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        if name not in parts:
            raise HTTPException(404)
        return Response(parts[name], media_type=_PAGES[name], headers=_of_pages())

    @app.get("/redoc", include_in_schema=False)
    async def redoc() -> Response:
        return RedirectResponse("docs")


class _Document:
    """The OpenAPI document, made anew when another version took its place."""

    def __init__(self, app: FastAPI, loaded: LoadedModels) -> None:
        self._app, self._loaded = app, loaded
        self._places: object = None
        self._made: dict[str, Any] = {}

    def now(self) -> dict[str, Any]:
        if self._places is not self._loaded.places:
            places = self._loaded.places
            self._app.openapi_schema = None
            made = self._app.openapi()
            made["paths"] = {**posted(self._loaded), **made["paths"]}
            made.setdefault("components", {}).setdefault("schemas", {}).update(components())
            named = ", ".join(p.champion.title for p in places.values() if p.champion is not None)
            made["info"]["description"] = f"Serves {named}." if named else "No model is loaded yet."
            self._places, self._made = places, made
        return self._made


def _add_errors(app: FastAPI, ids: Callable[[], str]) -> None:
    @app.exception_handler(Refused)
    async def refused(_request: Request, error: Refused) -> Response:
        return _said(error)

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> Response:
        kind, message = _KINDS.get(error.status_code, ("refused", "this is no request that is answered here"))
        headers = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
        return _said(Refused(error.status_code, kind, message, headers=headers))

    @app.middleware("http")
    async def name_requests(request: Request, answer: Callable[[Request], Any]) -> Response:
        request_id = ids()
        try:
            response: Response = await answer(request)
        except Exception as error:
            log_failure(request_id, "page", error)
            response = _said(Refused(500, "internal", "this failed here; the log has more under this request's id"))
        response.headers["x-request-id"] = request_id
        response.headers.setdefault("cache-control", "no-store")
        response.headers.setdefault("x-content-type-options", "nosniff")
        return response


def _said(error: Refused) -> Response:
    import msgspec

    headers = {name.decode(): value.decode() for name, value in error.headers}
    return Response(msgspec.json.encode(error.content), error.status, headers, media_type="application/json")


def _headers(request: Request) -> Mapping[bytes, bytes]:
    return dict(request.headers.raw)


def _of_pages() -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in PAGE_HEADERS}
