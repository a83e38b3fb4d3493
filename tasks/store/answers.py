"""What S3 and the way to it say, as our errors.

Nothing of a request goes into a message, only the host, the key and the server's own words, and these with
anything cut out that looks like a credential or a signed URL.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3.exceptions
from botocore import exceptions as boto

from tasks.errors import (
    BucketMissing,
    ObjectExists,
    ObjectMissing,
    RedkeepError,
    StoreDenied,
    StoreFailed,
    StoreFull,
    StoreUnreachable,
    StoreUnusable,
)

__all__ = ["answers", "from_answer", "from_failure", "status_of"]


_CREDENTIALS_HINT = (
    "Give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, an existing AWS_PROFILE, or a role to the instance."
)
_CLOCK_HINT = "Set this machine's clock: S3 takes requests within 15 minutes of its own."
_REGION_HINT = "Correct [store] region: the bucket is in another one."
_LOCK_HINT = "Create the bucket with Object Lock, or take object_lock out of [store]."
_ARCHIVED_HINT = "Restore the object from its archive class first, in the bucket's own console."

# Codes: Amazon S3 API Reference, "Error responses"; Xminio... from MinIO, QuotaExceeded from Ceph.
_BY_CODE: dict[str, type[RedkeepError]] = {
    "NoSuchBucket": BucketMissing,
    "NoSuchKey": ObjectMissing,
    "NoSuchUpload": ObjectMissing,
    "PreconditionFailed": ObjectExists,
    "QuotaExceeded": StoreFull,
    "InsufficientStorage": StoreFull,
    "XMinioStorageFull": StoreFull,
    "XMinioAdminBucketQuotaExceeded": StoreFull,
    "ExpiredToken": StoreDenied,
    "InvalidToken": StoreDenied,
    "InvalidBucketName": StoreUnusable,
    "AuthorizationHeaderMalformed": StoreUnusable,
    "PermanentRedirect": StoreUnusable,
    "InvalidObjectState": StoreFailed,
}
_BY_STATUS: dict[int, type[RedkeepError]] = {
    301: StoreUnusable,
    401: StoreDenied,
    403: StoreDenied,
    404: ObjectMissing,
    412: ObjectExists,
    507: StoreFull,
}
_HINTS = {
    "RequestTimeTooSkewed": _CLOCK_HINT,
    "AuthorizationHeaderMalformed": _REGION_HINT,
    "PermanentRedirect": _REGION_HINT,
    "InvalidObjectState": _ARCHIVED_HINT,
}
_REFUSED = frozenset({"AccessDenied", "403"})
"""What S3 says of a right that is missing; a HEAD has only its status. (Wrong credentials have codes of their own.)"""
_ACTIONS = {
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject, and s3:ListBucket for what is not there",
    "HeadBucket": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectsV2": "s3:ListBucket",
}
"""What a policy must allow for a request; for all others s3:PutObject (Amazon S3 User Guide, "Required permissions for
Amazon S3 API operations")."""
_NO_ROOM = re.compile(r"no space left|quota exceeded|disk full|not enough space", re.IGNORECASE)
_SECRETS = re.compile(
    r"\S*(?:X-Amz-(?:Signature|Credential|Security-Token)|Signature=|AWSAccessKeyId|://[^/\s]*@)\S*"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b",
    re.IGNORECASE,
)


@contextmanager
def answers(bucket: str, host: str, key: str = "") -> Iterator[None]:
    """Raise what botocore raises inside as our errors; everything else passes through.

    Only around calls to S3: never around reading a caller's stream.
    """
    try:
        yield
    except boto.ClientError as error:
        raise from_answer(error, bucket, key) from error
    except (boto.BotoCoreError, urllib3.exceptions.HTTPError) as error:
        raise from_failure(error, host) from error


def from_answer(error: boto.ClientError, bucket: str, key: str) -> RedkeepError:
    """The error for what the server answered."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    said = str(error.response.get("Error", {}).get("Message", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    kind = StoreFull if _NO_ROOM.search(said) else _BY_CODE.get(code) or _BY_STATUS.get(status, StoreFailed)
    hint = _HINTS.get(code)
    if code in _REFUSED:
        action = _ACTIONS.get(error.operation_name, "s3:PutObject")
        hint = f"Allow {action}, in the policy of these credentials (docs/permissions.md has the whole of it)."
    if "ObjectLockConfiguration" in said:
        kind, hint = StoreUnusable, _LOCK_HINT
    return kind(_found(kind, bucket, key), detail=_detail(status, code, said), hint=hint)


def status_of(error: RedkeepError) -> int:
    """The HTTP status that an error of :func:`answers` came from; 0 when there was no answer."""
    cause = error.__cause__
    if not isinstance(cause, boto.ClientError):
        return 0
    return int(cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _found(kind: type[RedkeepError], bucket: str, key: str) -> str:
    """What was found, in words."""
    words = {
        BucketMissing: f"no bucket named {bucket!r}",
        ObjectMissing: f"nothing is there under {key}",
        ObjectExists: f"{key} is there already",
        StoreDenied: f"bucket {bucket!r} refused the request",
        StoreFull: f"the store of bucket {bucket!r} is full",
        StoreUnusable: f"bucket {bucket!r} cannot be used so",
    }
    return words.get(kind, f"bucket {bucket!r} answered with an error")


def _detail(status: int, code: str, said: str) -> str:
    """The server's own words in one short line.

    >>> _detail(403, "AccessDenied", "no right to http://h/b/k?X-Amz-Signature=00ff")
    'HTTP 403 AccessDenied: no right to ***'
    >>> _detail(404, "404", "Not Found")
    'HTTP 404: Not Found'
    """
    name = "" if code == str(status) else f" {code}"
    words = _SECRETS.sub("***", " ".join(said.split()))[:200]
    return f"HTTP {status}{name}" + (f": {words}" if words and words != code else "")


_UNCONFIGURED = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.TokenRetrievalError,
    boto.SSOError,
)
# the first that fits: some are kinds of others
_ON_THE_WAY: tuple[tuple[type[Exception], str], ...] = (
    (boto.SSLError, "TLS with {host} failed"),
    (urllib3.exceptions.SSLError, "TLS with {host} failed"),
    (boto.ProxyConnectionError, "the proxy on the way to {host} cannot be reached"),
    (boto.ConnectTimeoutError, "{host} does not take connections"),
    (boto.EndpointConnectionError, "cannot connect to {host}"),
    (boto.ReadTimeoutError, "{host} did not answer in time"),
    (boto.ConnectionClosedError, "{host} closed the connection"),
    (boto.IncompleteReadError, "{host} sent less than it announced"),
    (boto.ResponseStreamingError, "{host} sent less than it announced"),
    (boto.HTTPClientError, "the connection with {host} failed"),
    (urllib3.exceptions.HTTPError, "the connection with {host} failed"),
)


def from_failure(error: Exception, host: str) -> RedkeepError:
    """The error for a request that got no answer, or could not be made at all."""
    if isinstance(error, _UNCONFIGURED):
        return StoreUnusable("no usable AWS credentials", detail=type(error).__name__, hint=_CREDENTIALS_HINT)
    if isinstance(error, boto.ParamValidationError):
        return StoreUnusable("S3 takes no such bucket or option", detail=_SECRETS.sub("***", str(error))[:200])
    for kind, words in _ON_THE_WAY:
        if isinstance(error, kind):
            return StoreUnreachable(words.format(host=host), detail=_cause(error))
    return StoreFailed("the request to S3 could not be made", detail=type(error).__name__)


def _cause(error: BaseException) -> str:
    """The operating system's or OpenSSL's own words, from the bottom of the wrapped errors; else nothing.

    Never a wrapper's words: those have the whole URL in them.
    """
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in seen:
        seen.append(found)
        wrapped = (*found.args[-1:], getattr(found, "reason", None), getattr(found, "kwargs", {}).get("error"))
        found = next((each for each in wrapped if isinstance(each, BaseException)), None) or found.__cause__
    bottom = seen[-1]
    if isinstance(bottom, ssl.SSLError):
        return str(getattr(bottom, "reason", None) or bottom.strerror or "").lower().replace("_", " ")
    return (bottom.strerror or "").lower() if isinstance(bottom, OSError) else ""
