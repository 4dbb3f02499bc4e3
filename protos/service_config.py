"""The gRPC service config that clients follow: which calls they may send again, and when."""

import json
from typing import Any

from declarations import Files
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

RETRY_POLICY = {
    "maxAttempts": 5,
    "initialBackoff": "0.05s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def made_of(files: Files) -> str:
    """The service config, as JSON.

    A call may be sent again if it changes nothing or is idempotent by nature, or if its request
    carries a request id. The latter are not marked IDEMPOTENT: without the id, which is optional,
    they are not.

    Args:
        files: The contract, and all that it imports.
    """
    with_request_id = _requests_with_id(files)
    names = [
        {"service": f"{file.package}.{service.name}", "method": method.name}
        for file in files
        if file.package.startswith("balance.")
        for service in file.service
        for method in service.method
        if not method.server_streaming
        and (
            method.options.idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
            or method.input_type in with_request_id
        )
    ]
    config = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            # Ready again after a restart sooner than a call's time is over.
            {"name": names, "waitForReady": True, "timeout": "30s", "retryPolicy": RETRY_POLICY}
        ],
    }
    return json.dumps(config, indent=2) + "\n"


def _requests_with_id(files: Files) -> set[str]:
    """The messages with a field of FORMAT_REQUEST_ID, by the name that methods refer to."""
    # Our options are known to a pool of the files themselves, whatever stubs there are so far.
    pool = DescriptorPool()
    for file in files:
        pool.Add(file)
    limits = pool.FindExtensionByName("balance.v1.limits")
    formats = pool.FindEnumTypeByName("balance.v1.Format").values_by_name
    options: Any = GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FieldOptions"))
    return {
        f".{file.package}.{message.name}"
        for file in files
        for message in file.message_type
        for field in message.field
        if options.FromString(field.options.SerializeToString()).Extensions[limits].format
        == formats["FORMAT_REQUEST_ID"].number
    }
