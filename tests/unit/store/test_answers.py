from __future__ import annotations

import ssl

import pytest
import urllib3.exceptions
from botocore import exceptions as boto

from tasks import errors
from tasks.store.answers import answers, from_answer, from_failure, status_of


def answer(status: int, code: str, message: str = "") -> boto.ClientError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(response, "PutObject")  # type: ignore[arg-type]


TABLE = [
    (404, "NoSuchBucket", errors.BucketMissing),
    (404, "NoSuchKey", errors.ObjectMissing),
    (404, "404", errors.ObjectMissing),
    (404, "NoSuchUpload", errors.ObjectMissing),
    (403, "AccessDenied", errors.StoreDenied),
    (403, "403", errors.StoreDenied),
    (403, "InvalidAccessKeyId", errors.StoreDenied),
    (403, "SignatureDoesNotMatch", errors.StoreDenied),
    (403, "RequestTimeTooSkewed", errors.StoreDenied),
    (400, "ExpiredToken", errors.StoreDenied),
    (401, "Unauthorized", errors.StoreDenied),
    (412, "PreconditionFailed", errors.ObjectExists),
    (409, "ConditionalRequestConflict", errors.StoreFailed),
    (501, "NotImplemented", errors.StoreFailed),
    (503, "SlowDown", errors.StoreFailed),
    (500, "InternalError", errors.StoreFailed),
    (400, "InvalidRequest", errors.StoreFailed),
    (403, "QuotaExceeded", errors.StoreFull),
    (507, "InsufficientStorage", errors.StoreFull),
    (507, "XMinioStorageFull", errors.StoreFull),
    (301, "PermanentRedirect", errors.StoreUnusable),
    (400, "AuthorizationHeaderMalformed", errors.StoreUnusable),
]


@pytest.mark.parametrize(("status", "code", "wanted"), TABLE)
def test_every_answer_has_its_error_and_a_hint(status: int, code: str, wanted: type[errors.RedkeepError]) -> None:
    error = from_answer(answer(status, code), "site", "main/a")
    assert type(error) is wanted
    assert error.hint.endswith(".")
    assert f"HTTP {status}" in str(error)


def test_a_disk_that_is_full_is_read_from_the_words() -> None:
    error = from_answer(answer(500, "InternalError", "write /data/x: no space left on device"), "site", "a")
    assert type(error) is errors.StoreFull


def test_a_clock_that_is_wrong_is_named() -> None:
    assert "clock" in from_answer(answer(403, "RequestTimeTooSkewed"), "site", "a").hint


@pytest.mark.parametrize(
    "secret",
    [
        "https://h/b/k?X-Amz-Credential=AK&X-Amz-Signature=00ff",
        "http://user:password@host/b",
        "AKIAIOSFODNN7EXAMPLE",
        "https://h/b?AWSAccessKeyId=AK&Signature=s",
    ],
)
def test_no_credential_and_no_signed_url_is_shown(secret: str) -> None:
    said = str(from_answer(answer(400, "Odd", f"before {secret} after"), "site", "a"))
    assert secret not in said
    assert "before *** after" in said


def test_an_answer_of_any_length_is_one_short_line() -> None:
    said = str(from_answer(answer(500, "InternalError", "words\n" * 1_000), "site", "a"))
    assert len(said) < 300
    assert "\n" not in said


URL = "http://store:9000/bucket/key?X-Amz-Signature=00ff"
FAILURES = [
    (boto.NoCredentialsError(), errors.StoreUnusable, "credentials"),
    (boto.PartialCredentialsError(provider="env", cred_var="key"), errors.StoreUnusable, "credentials"),
    (boto.ProfileNotFound(profile="x"), errors.StoreUnusable, "credentials"),
    (boto.SSLError(endpoint_url=URL, error=ssl.SSLError(1, "bad certificate")), errors.StoreUnreachable, "TLS"),
    (boto.EndpointConnectionError(endpoint_url=URL, error=OSError(111, "refused")), errors.StoreUnreachable, "refused"),
    (boto.ConnectTimeoutError(endpoint_url=URL, error="x"), errors.StoreUnreachable, "take connections"),
    (boto.ReadTimeoutError(endpoint_url=URL, error="x"), errors.StoreUnreachable, "in time"),
    (boto.ConnectionClosedError(endpoint_url=URL, error="x"), errors.StoreUnreachable, "closed"),
    (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), errors.StoreUnreachable, "less than"),
    (boto.ResponseStreamingError(error="x"), errors.StoreUnreachable, "less than"),
    (boto.ProxyConnectionError(proxy_url=URL, error="x"), errors.StoreUnreachable, "proxy"),
    (urllib3.exceptions.ProtocolError("x"), errors.StoreUnreachable, "connection"),
    (boto.UnknownServiceError(service_name="x", known_service_names=[]), errors.StoreFailed, "UnknownServiceError"),
]


@pytest.mark.parametrize(("failure", "wanted", "words"), FAILURES)
def test_every_failure_has_its_error(failure: Exception, wanted: type[errors.RedkeepError], words: str) -> None:
    error = from_failure(failure, "store:9000")
    assert type(error) is wanted
    assert words in str(error)
    assert "X-Amz" not in str(error)


def test_what_is_no_answer_of_s3_passes_through() -> None:
    for error in (KeyboardInterrupt(), OSError(28, "full"), errors.LeaseLost("gone")):
        with pytest.raises(type(error)) as caught, answers("site", "host"):
            raise error
        assert caught.value is error


def test_the_status_behind_an_error_is_kept() -> None:
    with pytest.raises(errors.StoreFailed) as caught, answers("site", "host"):
        raise answer(409, "ConditionalRequestConflict")
    assert status_of(caught.value) == 409
    assert status_of(errors.StoreFailed("other")) == 0


def test_each_error_can_be_sent_to_another_process() -> None:
    import pickle

    error = from_answer(answer(403, "AccessDenied", "no"), "site", "a")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.hint) == (str(error), error.hint)
