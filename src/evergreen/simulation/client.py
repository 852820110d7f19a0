"""A server that answers predictions and takes labels, as a caller sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evergreen.address import redacted
from evergreen.errors import UnavailableError, UserError

if TYPE_CHECKING:
    import httpx

_REFUSED, _SERVER_ERROR, _TOO_MANY = 400, 500, 429
_NOT_ALLOWED = (401, 403, 404)


@dataclass(frozen=True)
class Answered:
    """What was answered to one row: by which version, under which id."""

    version: int
    prediction_id: str
    prediction: Any


@dataclass(frozen=True)
class Label:
    """What came true of an answer, known at an aware moment."""

    prediction_id: str
    label: Any
    at: datetime


@dataclass(frozen=True)
class Server:
    """The server at `url` and one of its models; `key` is an API key, for servers that want one."""

    url: str
    model: str
    key: str | None = field(default=None, repr=False)

    def is_ready(self) -> bool:
        """True where it answers, and serves every model that it shall."""
        import httpx

        try:
            return httpx.get(f"{self.url}/ready", verify=self.url.startswith("https")).is_success
        except httpx.TransportError:
            return False

    def predict(self, client: "httpx.Client", rows: Sequence[Mapping[str, Any]]) -> tuple[Answered, ...] | None:
        """The answers, in the order of the rows; None where the server refuses the rows for what they hold.

        Raises UnavailableError where it does not answer, is too busy or fails, UserError where it does not know the
        model or the key.
        """
        answer = self._post(client, "predict", {"rows": list(rows)})
        if answer is None:
            return None
        version = int(answer["version"])
        return tuple(Answered(version, each["prediction_id"], each["prediction"]) for each in answer["predictions"])

    def tell(self, client: "httpx.Client", labels: Sequence[Label]) -> None:
        """Send labels. Raises as `predict` does, and UserError for labels that the server refuses."""
        items = [{"prediction_id": one.prediction_id, "label": one.label, "at": one.at.isoformat()} for one in labels]
        if self._post(client, "feedback", {"feedback": items}) is None:
            raise UserError(f"{redacted(self.url)}: refuses labels of {self.model}; see its log")

    def _post(self, client: "httpx.Client", what: str, values: Any) -> Any:
        import httpx

        where = redacted(self.url)
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            url = f"{self.url}/models/{self.model}/{what}"
            answer = client.post(url, json=values, headers=headers)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise UnavailableError(f"{where}: does not answer ({why}); start it with evergreen serve") from error
        if answer.status_code in _NOT_ALLOWED:
            raise UserError(f"{where}: says {answer.status_code} for model {self.model}: {answer.text[:200]}")
        if answer.status_code >= _SERVER_ERROR or answer.status_code == _TOO_MANY:
            raise UnavailableError(f"{where}: says {answer.status_code}: {answer.text[:200]}")
        return None if answer.status_code >= _REFUSED else answer.json()
