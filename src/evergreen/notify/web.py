"""Messages over HTTP: any receiver of JSON, and everything that takes what Slack takes."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from evergreen.notify.message import Message
from evergreen.notify.overhear import overhear
from evergreen.store.facts import Fact

TIMEOUT = timedelta(seconds=10)
"""For each of connecting, sending and the answer."""

# Slack and its like answer an error with one word, such as no_service. More than that is not repeated.
_WORD = re.compile(r"[a-z]+(?:_[a-z]+)*")
_LONGEST_WORD = 40


def post_fact(url: str, fact: Fact, message: Message) -> str | None:
    """POST a fact as JSON. None where it was taken, else the problem, without the address: all of it is a secret."""
    return _post(url, as_json(fact, message), {"Idempotency-Key": str(fact.id)})


def post_slack(url: str, fact: Fact, message: Message) -> str | None:
    """POST a message as Slack's incoming webhooks take it; None where it was taken, else the problem."""
    return _post(url, {"text": as_mrkdwn(message)}, {"Idempotency-Key": str(fact.id)})


def as_json(fact: Fact, message: Message) -> dict[str, Any]:
    """What a webhook is sent. Receivers build on it: fields are only ever added."""
    return {
        "id": str(fact.id),
        "kind": fact.kind.value,
        "model": fact.model,
        "at": fact.at.isoformat(),
        "title": message.title,
        "text": message.body,
        "link": message.link,
        "payload": fact.payload,
    }


def as_mrkdwn(message: Message) -> str:
    """A message in Slack's own markup: its three special letters escaped, the title bold.

    >>> as_mrkdwn(Message("churn: rejected", "accuracy < 0.9", "https://prefect.example.com"))
    '*churn: rejected*\\naccuracy &lt; 0.9\\n<https://prefect.example.com>'
    """
    lines = [f"*{_escaped(message.title)}*", _escaped(message.body)]
    return "\n".join([*lines, f"<{message.link}>"] if message.link else lines)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _post(url: str, values: dict[str, Any], headers: dict[str, str]) -> str | None:
    import httpx

    try:
        host = urlsplit(url).hostname or "the address"
        # At INFO the client logs the whole address.
        with overhear("httpx"):
            answer = httpx.post(url, json=values, headers=headers, timeout=TIMEOUT.total_seconds())
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError):
        return "is no address of a web server; it starts with https://"
    except httpx.TimeoutException:
        return f"{host} did not answer within {TIMEOUT.seconds} s"
    except httpx.HTTPError as error:
        return f"{host} cannot be reached ({type(error).__name__})"
    return None if answer.is_success else f"{host} answered {answer.status_code}{_word(answer.text)}"


def _word(body: str) -> str:
    said = body.strip()
    return f" ({said})" if len(said) <= _LONGEST_WORD and _WORD.fullmatch(said) else ""
