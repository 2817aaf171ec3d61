"""Messages to the hasher."""

import json
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from sluice import audit
from sluice.queue import Queue, upload_to_complete
from tests.unit.core.records import a_file, client

URL = "https://sqs.example/the-queue"


@pytest.mark.parametrize("request_id", [None, "JKJaXmPLvHcESHA="])
def test_a_message_names_the_request_that_it_goes_back_to(request_id: str | None) -> None:
    """Where there is one: the hasher's log is joined to the audit record by it."""
    queue, sent = Queue(URL), []
    vars(queue)["_client"] = client("sqs")

    def note(params: dict[str, Any], **_: Any) -> None:
        sent.append(json.loads(params["MessageBody"]))

    queue._client.meta.events.register("before-parameter-build.sqs.SendMessage", note)
    file = a_file()
    with Stubber(queue._client) as sqs, audit.noting({"request_id": request_id}):
        sqs.add_response("send_message", {}, {"QueueUrl": URL, "MessageBody": ANY, "DelaySeconds": 120})
        queue.complete_later(file)
    (message,) = sent
    assert upload_to_complete(message) == (file.owner, file.id)
    assert message["Assembling"].get("request_id") == request_id
