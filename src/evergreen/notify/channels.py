"""A spec's channels: where each one's address is, and who carries a message there."""

from collections.abc import Mapping

from evergreen.notify.mail import send_mail
from evergreen.notify.web import post_fact, post_slack
from evergreen.notify.words import text
from evergreen.spec.model import Notify
from evergreen.store.facts import Fact


def is_ready(notify: Notify, environ: Mapping[str, str]) -> bool:
    """True where the variable with the channel's address is set."""
    return bool(environ.get(notify.url_env, "").strip())


def send(notify: Notify, fact: Fact, environ: Mapping[str, str]) -> str | None:
    """Tell one fact over one channel. None where it was delivered, else the problem: one line, without secrets.

    A server that is down, refuses or is slow is a problem, not an exception.
    """
    if not is_ready(notify, environ):
        return f"{notify.url_env} is not set: the address for {notify.kind} is in no environment variable of that name"
    url, message = environ[notify.url_env].strip(), text(fact)
    match notify.kind:
        case "webhook":
            problem = post_fact(url, fact, message)
        case "slack":
            problem = post_slack(url, fact, message)
        case "email":
            problem = send_mail(url, message)
    return problem and f"{notify.url_env}: {problem}"
