"""A webhook and a heartbeat that are slow, refuse, redirect, or are not there."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from rig.keep import eventually
from rig.listener import SECRET, Listener
from rig.ports import ReservedPort

from tasks import alerts
from tasks.errors import AlertUndelivered

TOLD = {"text": "redkeep ALARM"}


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(alerts, "PAUSE", 0.001)
    with Listener() as made:
        yield made


def refusal(url: str) -> str:
    with pytest.raises(AlertUndelivered) as caught:
        alerts.post(SecretStr(url), TOLD)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__dict__)
    return str(caught.value)


def attempted(url: str) -> AlertUndelivered | int:
    try:
        return alerts.post(SecretStr(url), TOLD)
    except AlertUndelivered as error:
        return error


def test_a_webhook_gets_one_json_object(listener: Listener) -> None:
    assert alerts.post(SecretStr(listener.url), TOLD) == 200
    (taken,) = listener.taken
    assert (taken.method, taken.path, taken.json) == ("POST", f"/{SECRET}", TOLD)
    assert taken.headers["Content-Type"] == "application/json"
    assert taken.headers["User-Agent"].startswith("redkeep/")


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_answer_that_may_pass_is_tried_again(listener: Listener, status: int) -> None:
    listener.answers = [status, status, 204]
    assert alerts.post(SecretStr(listener.url), TOLD) == 204
    assert len(listener.taken) == alerts.TRIES


def test_tries_are_bounded(listener: Listener) -> None:
    listener.answers = [500]
    assert refusal(listener.url) == f"the webhook at {listener.address} did not take it (HTTP 500)"
    assert len(listener.taken) == alerts.TRIES


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_a_refusal_that_stays_is_not_tried_again(listener: Listener, status: int) -> None:
    listener.answers = [status]
    assert refusal(listener.url).endswith(f"did not take it (HTTP {status})")
    assert len(listener.taken) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_wherever_it_leads(listener: Listener, status: int) -> None:
    with Listener() as elsewhere:
        listener.answers, listener.headers = [status], {"Location": elsewhere.url}
        assert "redirects are not followed" in refusal(listener.url)
        assert elsewhere.taken == []
    assert len(listener.taken) == 1


def test_nobody_listening_is_said_in_words_of_ours() -> None:
    port = ReservedPort()
    url = f"http://127.0.0.1:{port.number}"
    assert refusal(f"{url}/{SECRET}") == f"the webhook at {url} did not take it (nobody listens there)"
    port.release()


def test_a_host_that_does_not_exist_and_an_answer_without_tls_are_told_apart(listener: Listener) -> None:
    assert refusal(f"https://nowhere.invalid/{SECRET}").endswith("(no such host)")
    assert "(TLS:" in refusal(listener.url.replace("http:", "https:"))


def test_silence_is_given_up(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    listener.silent = True
    monkeypatch.setattr(alerts, "ANSWER", 0.05)
    assert refusal(listener.url).endswith("(no answer in time)")
    assert len(listener.taken) == 1  # it may have arrived


def test_one_that_was_silent_is_left_alone_for_a_while(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    listener.silent = True
    monkeypatch.setattr(alerts, "ANSWER", 0.05)
    monkeypatch.setattr(alerts, "LEFT_ALONE", 0.5)
    refusal(listener.url)
    assert "was silent a moment ago" in refusal(listener.url)
    assert len(listener.taken) == 1
    listener.silent = False
    eventually(lambda: "moment ago" not in str(attempted(listener.url)))
    assert len(listener.taken) == 2


def test_an_answer_that_never_ends_is_given_up_when_the_time_is_over(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener.dripping = True
    monkeypatch.setattr(alerts, "DEADLINE", 0.2)
    began = time.monotonic()
    assert "did not answer within" in refusal(listener.url)
    assert time.monotonic() - began < alerts.ANSWER


def test_no_try_begins_when_the_time_is_over(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    listener.answers = [500]
    monkeypatch.setattr(alerts, "DEADLINE", 5.0)
    monkeypatch.setattr(alerts, "PAUSE", 60.0)
    assert refusal(listener.url).endswith("(HTTP 500)")
    assert len(listener.taken) == 1


@pytest.mark.parametrize(
    ("tail", "good", "asked"),
    [
        ("", True, ""),
        ("", False, "/fail"),
        ("/", False, "/fail"),
        ("/{target}?rid=1", True, "/main?rid=1"),
        ("/{target}?rid=1", False, "/main/fail?rid=1"),
    ],
)
def test_a_heartbeat_asks_for_its_url_or_for_what_is_below_it(
    listener: Listener, tail: str, good: bool, asked: str
) -> None:
    alerts.beat(SecretStr(listener.url + tail), "main", good=good)
    assert listener.paths() == [asked]


def test_a_login_in_a_url_becomes_a_header(listener: Listener) -> None:
    alerts.beat(SecretStr(listener.url.replace("//", "//ops:p%40ss@")), "main", good=True, test=True)
    (taken,) = listener.taken
    assert taken.headers["Authorization"] == "Basic b3BzOnBAc3M="
    assert taken.headers["User-Agent"].endswith("(test)")


def test_no_log_line_has_the_path(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    listener.answers = [500]
    with caplog.at_level(logging.INFO):
        refusal(listener.url)
    assert SECRET not in caplog.text
