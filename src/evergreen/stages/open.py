"""The start of a run: its spec, its champion, and whatever the run before left unfinished."""

import logging
from datetime import datetime

from evergreen.errors import IntegrityError, SpecError
from evergreen.gate.decision import DecisionKind
from evergreen.registry.complete import reading
from evergreen.registry.handles import Champion
from evergreen.registry.reference import fetch_reference
from evergreen.registry.tracking import Tracking
from evergreen.registry.versions import Registry
from evergreen.settings import Settings
from evergreen.spec import ModelSpec, find_spec, load_spec
from evergreen.stages.run import Origin, Request, Run
from evergreen.stages.settle import find_stranger, settle
from evergreen.store.ledger import Ledger

log = logging.getLogger("evergreen.open")


def open_run(request: Request, origin: Origin, settings: Settings, now: datetime) -> Run:
    """Read the spec, finish what an interrupted promotion left, and read the champion.

    Raises SpecError for the spec, UnavailableError where registry or store do not answer: a champion that cannot be
    read is an error, never "no champion".
    """
    spec = read_spec(request.spec, settings)
    tracking, ledger = connect(settings)
    registry = registry_of(settings)
    if not request.dry_run:
        for line in settle(ledger, registry, spec.model, now, policy=spec.promotion.moved_by_hand):
            log.warning("reconcile   %s", line)
    elif stranger := find_stranger(ledger, registry, spec.model, spec.promotion.moved_by_hand):
        log.warning("reconcile   %s", stranger)
    champion, fence = read_champion(spec.model, ledger, registry)
    if champion is not None:
        with reading(tracking, champion):
            champion = fetch_reference(tracking, champion, settings.home / "champions")
    known = f"champion is version {champion.version}" if champion else "no champion yet"
    log.info("open        %s as of %s, %s", spec.model, f"{request.as_of:%Y-%m-%d %H:%M}", known)
    return Run(request, spec, champion, origin, fence)


def read_champion(model: str, ledger: Ledger, registry: Registry) -> tuple[Champion | None, int]:
    """The champion, and the number of its reign.

    Raises IntegrityError unless it is one that the ledger promoted, with the artifact that it names: nobody is measured
    against a version that serving would not follow.
    """
    # Before the champion: what is crowned in between makes the fence too low, and the promotion stale.
    fence, champion = ledger.fence(model), registry.champion(model)
    if not _why_unknown(champion, model, ledger):
        return champion, fence
    # Somebody may have promoted between the reads, which nobody does while the turn is ours.
    with registry.turn(model):
        fence, champion = ledger.fence(model), registry.champion(model)
        if problem := _why_unknown(champion, model, ledger):
            raise IntegrityError(problem)
    return champion, fence


def _why_unknown(champion: Champion | None, model: str, ledger: Ledger) -> str:
    """What keeps anybody from being measured against this champion; empty where nothing does.

    An alias that somebody deleted is not "no champion": the next model would be promoted without being compared.
    """
    if champion is None:
        crowns = ledger.history(model)
        known = f"the ledger knows of version {crowns[-1].version}" if crowns else ""
        back = f"evergreen rollback {model} --why … puts it back"
        return known and f"alias champion of {model} is gone, but {known}; {back}"
    promoted, name = promoted_digests(ledger, champion), f"version {champion.version} of {model}"
    if champion.digest in promoted:
        return ""
    if promoted:
        more = f"evergreen audit {model} says more"
        return f"{name} names another artifact than the ledger does; it is not loaded. {more}"
    back = f"evergreen rollback {model} --why … goes back to the ledger's champion"
    if not ledger.history(model):
        back = "remove the alias in MLflow to begin anew"
    spoken = "promoted it" if ledger.about(model, champion.version) else "speaks of it"
    return f"{name} is champion in MLflow, and no decision {spoken}; {back}"


def promoted_digests(ledger: Ledger, champion: Champion) -> set[str]:
    """Digests of the artifacts that the ledger promoted under the champion's number, with or without effect."""
    decided = ledger.about(champion.model, champion.version)
    return {e.model_digest for e in decided if e.kind is DecisionKind.PROMOTE and e.model_digest is not None}


def read_spec(name: str, settings: Settings) -> ModelSpec:
    """The spec of a file in the folder of specs, held against what training and gate can do.

    Raises SpecError before any data is read.
    """
    from evergreen.features.pipeline import build_preprocessing
    from evergreen.gate.names import require_known_metrics
    from evergreen.training.recipes import validate_recipes

    path = find_spec(settings.configs, name)
    spec = load_spec(path)
    require_known_metrics(spec, str(path))
    try:
        validate_recipes(spec.training, spec.task)
        # What a derived column reads must be there before it, of a type and a class that it can be made of.
        build_preprocessing(spec.features, spec.column_types, "scaled", spec.data.time_column)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    return spec


def connect(settings: Settings) -> tuple[Tracking, Ledger]:
    """Tracking and ledger, ready to use: created or migrated where they are files of this home."""
    tracking, ledger = tracking_of(settings), Ledger(settings.store_url)
    tracking.prepare()
    ledger.prepare()
    return tracking, ledger


def tracking_of(settings: Settings) -> Tracking:
    """Tracking at the configured address; touches nothing."""
    return Tracking(settings.tracking_uri, settings.artifacts)


def registry_of(settings: Settings) -> Registry:
    """The registry at the configured address, where turns are taken through the store; touches nothing."""
    return Registry(tracking_of(settings), settings.store_url)


def find_model(name: str, settings: Settings) -> str:
    """The registered model that a name means: that of the spec with this name, or itself where the ledger knows it.

    So that a broken spec stops nobody from rolling back. Raises SpecError where it is neither.
    """
    try:
        return load_spec(find_spec(settings.configs, name)).model
    except SpecError:
        file = settings.store_file
        known = () if file is not None and not file.exists() else Ledger(settings.store_url).models()
        if name in known:
            return name
        raise
