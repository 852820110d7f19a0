"""Tell people what happened: texts of facts, and the channels that carry them."""

from evergreen.notify.channels import is_ready, send
from evergreen.notify.message import Message
from evergreen.notify.words import text

__all__ = ["Message", "is_ready", "send", "text"]
