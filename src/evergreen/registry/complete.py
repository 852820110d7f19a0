"""Is a model that was logged or registered before still all there, and what it was then?"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evergreen.errors import EvergreenError, IntegrityError, UnavailableError
from evergreen.registry.answers import answering, is_missing
from evergreen.registry.artifact import digest_of, read_files
from evergreen.registry.handles import Champion
from evergreen.registry.tracking import Tracking


def find_damage(tracking: Tracking, run_id: str | None, uri: str, digest: str) -> str:
    """What the model at `uri` has lost, or what of it was changed, in words that follow "it"; empty where all is there.

    Its run belongs to it: the spec, the reference and the trials are kept there. Raises UnavailableError where MLflow
    does not answer, which says nothing about the model.
    """
    return _lost_run(tracking, run_id) or _changed_files(tracking, uri, digest)


def say_passed_over(version: int, damage: str) -> str:
    """Why an equal version is not taken.

    >>> say_passed_over(3, "has lost its files")
    'version 3 is of the same training, and is passed over: it has lost its files'
    """
    return f"version {version} is of the same training, and is passed over: it {damage}"


@contextmanager
def reading(tracking: Tracking, champion: Champion) -> Iterator[None]:
    """Where reading a champion fails because it is not complete any more, the error says that, and what to do."""
    try:
        yield
    except UnavailableError:
        raise
    except EvergreenError as error:
        damage = find_damage(tracking, champion.run_id, champion.source, champion.digest)
        if not damage:
            raise
        raise damaged_champion(champion.model, champion.version, damage) from error


def damaged_champion(model: str, version: int, damage: str) -> IntegrityError:
    """What to do about a champion that is not complete any more: nothing replaces it unasked."""
    return IntegrityError(
        f"version {version} of {model} is champion, and {damage}; restore it from the backup, or go back: "
        f"evergreen rollback {model} --why …"
    )


def _lost_run(tracking: Tracking, run_id: str | None) -> str:
    from mlflow.exceptions import MlflowException

    # A version that somebody registered by hand need not come from a run.
    if not run_id:
        return ""
    with answering(tracking.uri):
        try:
            deleted = tracking.client.get_run(run_id).info.lifecycle_stage != "active"
        except MlflowException as error:
            if not is_missing(error):
                raise
            deleted = True
    return f"has lost its MLflow run {run_id}, which somebody deleted" if deleted else ""


def _changed_files(tracking: Tracking, uri: str, digest: str) -> str:
    with tempfile.TemporaryDirectory(prefix="evergreen-model-") as scratch:
        try:
            found = digest_of(read_files(tracking.download(uri, Path(scratch))))
        except UnavailableError:
            raise
        except EvergreenError as error:
            return f"has lost its files ({str(error).partition(';')[0]})"
    return "" if found == digest else f"has other files than were saved (digest {found[:12]}, not {digest[:12]})"
