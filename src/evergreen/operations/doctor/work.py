"""Who does the work: pools that take it and workers that fetch it."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from evergreen.operations.doctor.finding import Finding, asked, fine, unknown, wrong
from evergreen.orchestrator.api import Deployment, Pool, PrefectApi, Worker
from evergreen.orchestrator.names import POOL, TAG

POOLS, WORKER = "work pool", "worker"
NAMES = (POOLS, WORKER)


Deployments = Callable[[], Sequence[Deployment]]


def look_at_pools(api: PrefectApi, deployments: Deployments) -> Iterator[Finding]:
    """Every pool that something of ours is deployed to; before the first deployment, the one that would be used."""
    yield asked(POOLS, lambda: judge_pools({name: api.pool(name) for name in _pools(deployments())}))
    yield asked(WORKER, lambda: _look_at_workers(api, _pools(deployments())))


def judge_pools(pools: Mapping[str, Pool | None]) -> Finding:
    """Pools by name; None for one that is not there."""
    missing = [name for name, pool in pools.items() if pool is None]
    if missing:
        return wrong(POOLS, f"{_named(missing)} not there", "evergreen deploy")
    paused = [name for name, pool in pools.items() if pool is not None and pool.is_paused]
    if paused:
        return wrong(POOLS, f"{_named(paused)} paused: no run starts", f"prefect work-pool resume {paused[0]}")
    return fine(POOLS, f"{_named(list(pools))} there")


def judge_workers(workers: Mapping[str, Sequence[Worker]]) -> Finding:
    """The workers of each pool. Prefect calls one ONLINE that reported in the last three of its intervals of 30 s."""
    idle = [pool for pool, known in workers.items() if not any(w.status == "ONLINE" for w in known)]
    if not idle:
        alive = [w.name for known in workers.values() for w in known if w.status == "ONLINE"]
        return fine(WORKER, f"{', '.join(sorted(alive))}: alive")
    last = max((w.last_heartbeat for w in workers[idle[0]] if w.last_heartbeat), default=None)
    heard = f"the last one was heard of at {last:%Y-%m-%d %H:%M:%S} UTC" if last else "none was ever there"
    what = f"nobody works for pool {idle[0]!r} ({heard}): runs wait"
    return wrong(WORKER, what, f"evergreen up, or elsewhere: prefect worker start --pool {idle[0]}")


def _look_at_workers(api: PrefectApi, pools: Sequence[str]) -> Finding:
    names = [name for name in pools if api.pool(name) is not None]
    # Of a pool that is not there the other finding tells.
    return judge_workers({name: api.workers(name) for name in names}) if names else unknown(WORKER, "there is no pool")


def _pools(deployments: Sequence[Deployment]) -> list[str]:
    used = {one.work_pool for one in deployments if TAG in one.tags and one.work_pool}
    return sorted(used) or [POOL]


def _named(names: Sequence[str]) -> str:
    pools = ", ".join(names)
    return f"pool {pools} is" if len(names) == 1 else f"pools {pools} are"
