"""Answers as they go out: envelopes, errors, and the forms in which a fault spoils them."""

import json
from collections.abc import Sequence
from types import EllipsisType

from elite_pipeline.sandbox.serving.faults import MalformedRecord, Status
from elite_pipeline.sandbox.serving.wire import Answer, Headers, bare_fault, retry_after
from elite_pipeline.sandbox.toga2.documents import to_json
from elite_pipeline.sandbox.toga2.problems import INTERNAL, RefusedError


def one(envelope: str, text: str, status: int = 200) -> Answer:
    """Return the answer that carries one record, given as JSON text."""
    return Answer(status, f'{{"data":{{"{envelope}":{text}}}}}'.encode())


def many(envelope: str, texts: Sequence[str], uuids: Sequence[str]) -> Answer:
    """Return the answer that carries a list of records, given as JSON texts."""
    body = f'{{"data":{{"{envelope}":[{",".join(texts)}]}}}}'.encode()
    return Answer(200, body, uuids=uuids)


def error(status: int, code: str, message: str, headers: Headers = ()) -> Answer:
    """Return an error as TOGA 2 spells it."""
    body = to_json({"error": {"code": code, "message": message}}).encode()
    return Answer(status, body, headers=headers)


def refusal(refused: RefusedError) -> Answer:
    """Return the answer to a request that is refused."""
    headers: Headers = ()
    if refused.status == 401:
        headers = ((b"www-authenticate", b'Basic realm="TOGA 2 sandbox"'),)
    return error(refused.status, refused.code, refused.message, headers)


def fault(action: Status) -> Answer:
    """Return the answer that a fault puts in the place of the real one."""
    headers = retry_after(action.retry_after)
    code = action.code or INTERNAL
    return bare_fault(action) or error(action.status, code, "fault on request", headers)


def with_malformed_record(answer: Answer, action: MalformedRecord) -> Answer:
    """Return an answer with one of its records spoiled; one without records as it is."""
    document = json.loads(answer.body)
    changed = False
    for records in document.get("data", {}).values():
        listed = records if isinstance(records, list) else [records]
        if -len(listed) <= action.index < len(listed):
            record = listed[action.index]
            for name, value in action.changes.items():
                if isinstance(value, EllipsisType):
                    record.pop(name, None)
                else:
                    record[name] = value
            changed = True
    if not changed:
        return answer
    return Answer(answer.status, to_json(document).encode(), headers=answer.headers)
