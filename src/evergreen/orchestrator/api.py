"""Prefect's HTTP API: what Evergreen asks of it, as plain values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from evergreen.errors import UnavailableError
from evergreen.orchestrator import answers
from evergreen.orchestrator.answers import Automation, Deployment, FlowRun, Pool, Worker
from evergreen.orchestrator.http import Refused, call

__all__ = ["Automation", "Deployment", "FlowRun", "Pool", "PrefectApi", "Refused", "Worker"]

_NOT_FOUND = 404
# The server gives no longer pages.
_PAGE = 200
_HEALTH_SECONDS = 5.0


def password_of(environ: Mapping[str, str]) -> str | None:
    """What a client says, `user:password`; where only the server's own variable is set, the client's is the same.

    >>> password_of({"PREFECT_SERVER_API_AUTH_STRING": "eva:s3cret", "PREFECT_API_AUTH_STRING": ""})
    'eva:s3cret'
    """
    return environ.get("PREFECT_API_AUTH_STRING") or environ.get("PREFECT_SERVER_API_AUTH_STRING") or None


@dataclass(frozen=True)
class PrefectApi:
    """The API at `url`, which ends with `/api`; `auth` is `user:password`. Building one calls nobody.

    Every method but `health` raises UnavailableError where the server does not answer, and Refused where it says no.
    """

    url: str
    auth: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "PrefectApi | None":
        """The server that PREFECT_API_URL names, with the password of `password_of`; None where it names none.

        >>> PrefectApi.from_environment({"PREFECT_API_URL": "http://127.0.0.1:4200/api/"})
        PrefectApi(url='http://127.0.0.1:4200/api')
        """
        url = environ.get("PREFECT_API_URL", "").rstrip("/")
        return cls(url, password_of(environ)) if url else None

    @property
    def environment(self) -> dict[str, str]:
        """How Prefect's own client and commands are told of this server."""
        return {"PREFECT_API_URL": self.url} | ({"PREFECT_API_AUTH_STRING": self.auth} if self.auth else {})

    def require(self) -> None:
        """Return where the server answers and lets us in; raises as every method does."""
        self.version()

    def get(self, path: str, **params: Any) -> Any:
        """What the server answers, parsed; `params` stand in the address."""
        return call("GET", self.url + path, auth=self.auth, params=params or None).json()

    def post(self, path: str, **values: Any) -> Any:
        """What the server answers, parsed; None where it answers nothing. `values` are sent as JSON."""
        return self.send("POST", path, values)

    def send(self, method: str, path: str, values: Any = None) -> Any:
        """A call of any other method, with any JSON."""
        answer = call(method, self.url + path, auth=self.auth, values=values)
        return answer.json() if answer.content else None

    def health(self) -> bool:
        """True where the server answers and says that it is well. It says so to anybody, without a password."""
        try:
            answer = call("GET", f"{self.url}/health", auth=self.auth, seconds=_HEALTH_SECONDS)
            return answer.json() is True
        except (UnavailableError, Refused, ValueError):
            return False

    def version(self) -> str:
        """The server's version of Prefect."""
        return str(self.get("/admin/version"))

    def server_time(self) -> datetime:
        """What the server's clock says, to the second."""
        answer = call("GET", f"{self.url}/health", auth=self.auth)
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)

    def pool(self, name: str) -> Pool | None:
        """A work pool; None where there is none of that name."""
        answer = self._found(f"/work_pools/{name}")
        return answers.to_pool(answer) if answer else None

    def workers(self, pool: str) -> tuple[Worker, ...]:
        """The workers that a pool has seen, dead ones included; Refused where there is no such pool."""
        return tuple(map(answers.to_worker, self.send("POST", f"/work_pools/{pool}/workers/filter", {})))

    def deployments(self) -> tuple[Deployment, ...]:
        """Every deployment, ours and others', by name."""
        found = list(self._pages("/deployments/filter", sort="NAME_ASC"))
        flows = {flow["id"]: flow["name"] for flow in self._pages("/flows/filter", sort="NAME_ASC")}
        # A flow that came between the two questions is of no deployment that was asked for.
        known = [answers.to_deployment(one, flows[one["flow_id"]]) for one in found if one["flow_id"] in flows]
        return tuple(sorted(known, key=lambda deployment: deployment.name))

    def deployment(self, name: str) -> Deployment | None:
        """The deployment of a name such as `retrain/churn`; None where there is none."""
        answer = self._found(f"/deployments/name/{name}")
        return answers.to_deployment(answer, name.partition("/")[0]) if answer else None

    def flow_runs(
        self,
        *,
        deployment_ids: Sequence[str] = (),
        states: Sequence[str] = (),
        since: datetime | None = None,
        ended_since: datetime | None = None,
        limit: int = _PAGE,
    ) -> tuple[FlowRun, ...]:
        """Flow runs, those due last first: of some deployments, in some state types, due at or after `since`."""
        rules: dict[str, Any] = {}
        if states:
            rules["state"] = {"type": {"any_": list(states)}}
        if since is not None:
            rules["expected_start_time"] = {"after_": since.isoformat()}
        if ended_since is not None:
            rules["end_time"] = {"after_": ended_since.isoformat()}
        if deployment_ids:
            rules["deployment_id"] = {"any_": list(deployment_ids)}
        filters = {"flow_runs": rules} if rules else {}
        found = self._pages("/flow_runs/filter", limit, sort="EXPECTED_START_TIME_DESC", **filters)
        return tuple(map(answers.to_flow_run, found))

    def flow_run(self, run_id: str) -> FlowRun | None:
        """One flow run; None where there is none with this id."""
        answer = self._found(f"/flow_runs/{run_id}")
        return answers.to_flow_run(answer) if answer else None

    def set_state(self, flow_run_id: str, type: str, name: str = "", message: str = "", force: bool = False) -> None:  # noqa: A002
        """Put a flow run into a state; `force` passes the server's rules by. Raises Refused where it does not."""
        state = {"type": type, "name": name or None, "message": message or None}
        result = self.post(f"/flow_runs/{flow_run_id}/set_state", state=state, force=force)
        if result["status"] != "ACCEPT":
            why = (result.get("details") or {}).get("reason") or result["status"]
            raise Refused(f"Prefect's server leaves run {flow_run_id} as it is: {why}", 409)

    def create_run(
        self, deployment_id: str, parameters: Mapping[str, Any], idempotency_key: str, tags: Sequence[str] = ()
    ) -> FlowRun:
        """Start a deployment. The same key gives the run that the first call made, whatever came of it."""
        values = {"parameters": dict(parameters), "idempotency_key": idempotency_key, "tags": list(tags)}
        return answers.to_flow_run(self.post(f"/deployments/{deployment_id}/create_flow_run", **values))

    def post_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Hand over events and wait until the server has them. An `id` that it knows is not handed on again."""
        self.send("POST", "/events", [dict(event) for event in events])

    def automations(self) -> tuple[Automation, ...]:
        """Every automation, by name."""
        return tuple(map(answers.to_automation, self._pages("/automations/filter", sort="NAME_ASC")))

    def _found(self, path: str) -> Any:
        try:
            return self.get(path)
        except Refused as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def _pages(self, path: str, limit: int | None = None, **values: Any) -> Iterator[Any]:
        given = 0
        while limit is None or given < limit:
            size = _PAGE if limit is None else min(_PAGE, limit - given)
            page = self.post(path, **values, limit=size, offset=given)
            yield from page
            given += len(page)
            if len(page) < size:
                return
