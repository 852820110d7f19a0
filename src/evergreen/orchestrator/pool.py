"""The work pool that runs are taken from."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergreen.errors import UserError
from evergreen.orchestrator.api import PrefectApi, Refused
from evergreen.orchestrator.names import POOL

PROCESS = "process"
_CONFLICT = 409


@dataclass(frozen=True)
class PoolPlan:
    """The pool as it shall be: `type` is Prefect's, `template` what a run is made of, None for what is there."""

    type: str = PROCESS
    template: Mapping[str, Any] | None = None


def read_template(file: Path) -> Mapping[str, Any]:
    """A base job template; raises UserError for a file that holds none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{file}: is not valid JSON ({error})") from None
    if not isinstance(found, dict) or not {"job_configuration", "variables"} <= found.keys():
        raise UserError(f"{file}: is no base job template, which has job_configuration and variables")
    return found


def ensure_pool(api: PrefectApi, wanted: PoolPlan) -> Iterator[str]:
    """Create the pool, or give it another template. Whether it is paused, and its limit, are a person's to say.

    Raises UserError where a template is meant for a pool of another type, or is missing for a new one.
    """
    pool = api.pool(POOL)
    if pool is None:
        pool_type = _create(api, wanted)
        yield f"work pool {POOL}: created, of type {pool_type}"
    elif wanted.template is None:
        yield f"work pool {POOL}: of type {pool.type}{', paused' if pool.is_paused else ''}"
    elif pool.type != wanted.type:
        message = f"the work pool {POOL} is of type {pool.type}, the template is for {wanted.type}"
        raise UserError(f"{message}; delete the pool, or leave the template out")
    else:
        api.send("PATCH", f"/work_pools/{POOL}", {"base_job_template": dict(wanted.template)})
        yield f"work pool {POOL}: of type {pool.type}, with its template{', paused' if pool.is_paused else ''}"


def _create(api: PrefectApi, wanted: PoolPlan) -> str:
    values: dict[str, Any] = {"name": POOL, "type": wanted.type, "description": "Runs of Evergreen"}
    if wanted.template is not None:
        values["base_job_template"] = dict(wanted.template)
    elif wanted.type != PROCESS:
        command = f"prefect work-pool get-default-base-job-template --type {wanted.type}"
        raise UserError(f"a work pool of type {wanted.type} needs --job-template FILE; {command} prints one")
    try:
        api.post("/work_pools/", **values)
    except Refused as error:
        # Somebody else who deploys was quicker.
        if error.status != _CONFLICT:
            raise
    return wanted.type
