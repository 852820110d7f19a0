"""What Prefect's API answers, as our own types."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Pool:
    """A work pool. `status` is READY where a worker asks it for work, NOT_READY or PAUSED otherwise."""

    name: str
    type: str
    is_paused: bool
    status: str


@dataclass(frozen=True)
class Worker:
    """A worker of a pool. `status` is ONLINE or OFFLINE."""

    name: str
    status: str
    last_heartbeat: datetime | None


@dataclass(frozen=True)
class Schedule:
    """A schedule of a deployment. `cron` and `timezone` are None where it is of another kind."""

    id: str
    slug: str | None
    active: bool
    cron: str | None
    timezone: str | None
    parameters: Json


@dataclass(frozen=True)
class Deployment:
    """A deployment; `name` starts with its flow's, as in `retrain/churn`. `status` is READY or NOT_READY."""

    id: str
    name: str
    paused: bool
    parameters: Json
    schedules: tuple[Schedule, ...]
    status: str
    work_pool: str | None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class FlowRun:
    """A flow run. `state_type` is of a fixed set, such as COMPLETED; `state_name` says it finer, such as Late.

    `start_time` is of its first try; `state_since` is when it came into the state that it is in.
    """

    id: str
    name: str
    deployment_id: str | None
    state_type: str
    state_name: str
    message: str
    start_time: datetime | None
    expected_start_time: datetime | None
    run_count: int
    parameters: Json
    tags: tuple[str, ...]
    created: datetime
    state_since: datetime | None = None


@dataclass(frozen=True)
class Automation:
    """An automation; `raw` is all that the server says of it."""

    id: str
    name: str
    enabled: bool
    raw: Json


def to_moment(text: str | None) -> datetime | None:
    """A moment as the API writes it.

    >>> to_moment("2026-11-16T06:00:00Z")
    datetime.datetime(2026, 11, 16, 6, 0, tzinfo=datetime.timezone.utc)
    """
    return datetime.fromisoformat(text) if text else None


def to_pool(answer: Json) -> Pool:
    """A work pool from its JSON."""
    return Pool(answer["name"], answer["type"], answer["is_paused"], answer.get("status") or "NOT_READY")


def to_worker(answer: Json) -> Worker:
    """A worker from its JSON."""
    return Worker(answer["name"], answer.get("status") or "OFFLINE", to_moment(answer.get("last_heartbeat_time")))


def to_schedule(answer: Json) -> Schedule:
    """A schedule from its JSON."""
    when = answer["schedule"]
    return Schedule(
        id=answer["id"],
        slug=answer.get("slug"),
        active=answer["active"],
        cron=when.get("cron"),
        timezone=when.get("timezone"),
        parameters=answer.get("parameters") or {},
    )


def to_deployment(answer: Json, flow: str) -> Deployment:
    """A deployment from its JSON and the name of its flow."""
    return Deployment(
        id=answer["id"],
        name=f"{flow}/{answer['name']}",
        paused=answer["paused"],
        parameters=answer.get("parameters") or {},
        schedules=tuple(to_schedule(schedule) for schedule in answer.get("schedules") or ()),
        status=answer.get("status") or "NOT_READY",
        work_pool=answer.get("work_pool_name"),
        tags=tuple(answer.get("tags") or ()),
    )


def to_flow_run(answer: Json) -> FlowRun:
    """A flow run from its JSON."""
    state, created = answer.get("state") or {}, to_moment(answer["created"])
    assert created is not None, "every row of Prefect's database has a moment"
    return FlowRun(
        id=answer["id"],
        name=answer["name"],
        deployment_id=answer.get("deployment_id"),
        state_type=answer.get("state_type") or "",
        state_name=answer.get("state_name") or "",
        message=state.get("message") or "",
        start_time=to_moment(answer.get("start_time")),
        expected_start_time=to_moment(answer.get("expected_start_time")),
        run_count=answer.get("run_count") or 0,
        parameters=answer.get("parameters") or {},
        tags=tuple(answer.get("tags") or ()),
        created=created,
        state_since=to_moment(state.get("timestamp")),
    )


def to_automation(answer: Json) -> Automation:
    """An automation from its JSON."""
    return Automation(answer["id"], answer["name"], answer["enabled"], answer)
