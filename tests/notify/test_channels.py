"""Messages arrive, and what does not arrive says why without a secret."""

import logging
import socket

import pytest

from evergreen.notify import is_ready, send, text, web
from evergreen.spec.model import Notify

WEBHOOK = Notify(kind="webhook", url_env="ALERT_URL")
SLACK = Notify(kind="slack", url_env="ALERT_URL")
EMAIL = Notify(kind="email", url_env="ALERT_URL")


def with_password(mailbox):
    return f"mailto://eva:s3cret@127.0.0.1:{mailbox.port}?from=evergreen@example.com&to=crew@example.com"


def test_a_webhook_is_sent_the_fact_as_json(receiver, held):
    assert send(WEBHOOK, held, {"ALERT_URL": receiver.url()}) is None
    [(path, headers, body)] = receiver.taken
    assert path == "/services/T0K3N/s3cret-p4th?sig=abc"
    assert headers["content-type"] == "application/json"
    assert headers["idempotency-key"] == body["id"] == str(held.id)
    assert body == {
        "id": str(held.id),
        "kind": "held",
        "model": "churn",
        "at": "2026-11-16T06:03:00+00:00",
        "title": text(held).title,
        "text": text(held).body,
        "link": None,
        "payload": held.payload,
    }


def test_slack_is_sent_text_in_its_own_markup(receiver, held):
    assert send(SLACK, held, {"ALERT_URL": receiver.url()}) is None
    [(_, headers, body)] = receiver.taken
    assert set(body) == {"text"}
    assert body["text"].startswith("*churn: a new model waits for your decision*\n")
    assert headers["idempotency-key"] == str(held.id)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410, 429, 500, 503])
def test_every_answer_but_success_is_a_problem(receiver, held, status):
    receiver.status, receiver.headers = status, {"Location": receiver.url("/elsewhere")}
    problem = send(WEBHOOK, held, {"ALERT_URL": receiver.url()})
    assert problem == f"ALERT_URL: 127.0.0.1 answered {status}"
    assert len(receiver.taken) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_success_is_delivery(receiver, held, status):
    receiver.status, receiver.body = status, b""
    assert send(WEBHOOK, held, {"ALERT_URL": receiver.url()}) is None


def test_the_word_that_slack_answers_with_is_told(receiver, held):
    receiver.status, receiver.body = 404, b"no_service"
    assert send(SLACK, held, {"ALERT_URL": receiver.url()}) == "ALERT_URL: 127.0.0.1 answered 404 (no_service)"


def test_what_a_receiver_repeats_of_its_address_is_not_told(receiver, held):
    receiver.status, receiver.body = 404, f"nothing at {receiver.url()}".encode()
    assert send(WEBHOOK, held, {"ALERT_URL": receiver.url()}) == "ALERT_URL: 127.0.0.1 answered 404"


def test_a_receiver_that_is_slow_is_a_problem(receiver, held, monkeypatch):
    receiver.delay = 2
    monkeypatch.setattr(web, "TIMEOUT", web.TIMEOUT / 100)
    problem = send(WEBHOOK, held, {"ALERT_URL": receiver.url()})
    assert problem is not None
    assert "did not answer" in problem


@pytest.mark.parametrize("notify", [WEBHOOK, SLACK, EMAIL], ids=lambda notify: notify.kind)
def test_a_server_that_is_not_there_is_a_problem(notify, held):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    scheme = "mailto://eva:s3cret@" if notify is EMAIL else "http://"
    url = f"{scheme}127.0.0.1:{port}/s3cret-p4th?to=crew@example.com"
    problem = send(notify, held, {"ALERT_URL": url})
    assert problem is not None
    assert problem.startswith("ALERT_URL: ")
    assert "s3cret" not in problem


@pytest.mark.parametrize("notify", [WEBHOOK, SLACK, EMAIL], ids=lambda notify: notify.kind)
@pytest.mark.parametrize("url", ["s3cret", "http://[s3cret", "http://s3cret:x/p", "ftp://s3cret/p", "mailto://", "://"])
def test_an_address_that_is_none_is_a_problem(notify, url, held):
    problem = send(notify, held, {"ALERT_URL": url})
    assert problem is not None
    assert "s3cret/p" not in problem
    assert "[s3cret" not in problem


@pytest.mark.parametrize("environ", [{}, {"ALERT_URL": ""}, {"ALERT_URL": " "}])
def test_a_variable_that_is_not_set_is_a_problem_that_names_it(held, environ):
    assert not is_ready(WEBHOOK, environ)
    problem = send(WEBHOOK, held, environ)
    assert problem is not None
    assert "ALERT_URL is not set" in problem


def test_nothing_logs_a_secret_address(receiver, mailbox, held, caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "apprise"):
        caplog.set_level(logging.DEBUG, name)
    send(WEBHOOK, held, {"ALERT_URL": receiver.url()})
    send(EMAIL, held, {"ALERT_URL": with_password(mailbox)})
    assert len(receiver.taken) == 1
    for secret in ("s3cret", "T0K3N", "sig=abc"):
        assert secret not in caplog.text


def test_a_mail_says_what_happened_to_everybody_who_is_named(mailbox, held):
    url = f"mailto://127.0.0.1:{mailbox.port}?from=evergreen@example.com&to=crew@example.com,owner@example.com"
    assert send(EMAIL, held, {"ALERT_URL": url}) is None
    recipients = [name for names, _ in mailbox.mails for name in names]
    assert sorted(recipients) == ["rcpt TO:<crew@example.com>", "rcpt TO:<owner@example.com>"]
    mail = mailbox.mails[0][1]
    assert "churn: a new model waits for your decision" in mail
    assert "evergreen approve 12" in mail


def test_a_mailbox_that_is_refused_is_a_problem(mailbox, held):
    mailbox.refuses = ("crew@example.com",)
    url = f"mailto://127.0.0.1:{mailbox.port}?from=evergreen@example.com&to=crew@example.com"
    problem = send(EMAIL, held, {"ALERT_URL": url})
    assert problem is not None
    assert "did not take it" in problem
    assert "550" in problem


def test_a_refused_password_is_a_problem_that_does_not_repeat_it(mailbox, held):
    problem = send(EMAIL, held, {"ALERT_URL": with_password(mailbox)})
    assert problem is not None
    assert "535" in problem
    assert "s3cret" not in problem


def test_only_addresses_of_mail_are_sent_mail(receiver, held):
    problem = send(EMAIL, held, {"ALERT_URL": receiver.url().replace("http://", "json://")})
    assert problem is not None
    assert "no address for e-mail" in problem
    assert receiver.taken == []
