"""Messages by e-mail, through Apprise, which knows the servers of many providers."""

from evergreen.notify.message import Message
from evergreen.notify.overhear import overhear

_SCHEMES = ("mailto://", "mailtos://")
_CAUSE = "Socket Exception: "


def send_mail(url: str, message: Message) -> str | None:
    """Send a message to an Apprise address. None where the server took it for everybody, else the problem."""
    if not url.lower().startswith(_SCHEMES):
        return "is no address for e-mail; write mailtos://user:password@server?to=team@example.com"
    import apprise

    with overhear("apprise") as said:
        try:
            channel = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        except TypeError:
            channel = None
        if channel is None:
            return "cannot be read as an address for e-mail; write mailtos://user:password@server?to=team@example.com"
        body = "\n".join((message.body, message.link)) if message.link else message.body
        taken = channel.notify(body=body, title=message.title, body_format=apprise.NotifyFormat.TEXT)
    return None if taken else f"the mail server did not take it{_cause(said, [channel.user, channel.password])}"


def _cause(said: list[str], secrets: list[str | None]) -> str:
    cause = next((line.removeprefix(_CAUSE) for line in said if line.startswith(_CAUSE)), "")
    for secret in filter(None, secrets):
        cause = cause.replace(secret, "***")
    return f" ({cause})" if cause else ""
