"""Problems as HTTP answers of a FastAPI app: every error leaves as application/problem+json (RFC 9457)."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from sluice import audit
from sluice.answers import Answer
from sluice.errors import Busy, InvalidJson, InvalidRequest, Problem, problem

MEDIA_TYPE = "application/problem+json"
# A body of strange members would be answered at ten times its size, and beyond Lambda's 6 MB by a bare 502.
FAULTS_SHOWN, FIELD_CHARACTERS = 20, 100
NOT_JSON = "The request's body could not be parsed as JSON."
AGAIN = "Try again in a moment."
logger = Logger()


def install(app: FastAPI) -> None:
    """Let `app` answer all its errors as problems."""

    @app.exception_handler(Problem)
    def _problem(_: Request, error: Problem) -> Answer:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    def _invalid(_: Request, error: RequestValidationError) -> Answer:
        return answer(of_request(error))

    # Starlette's own: no such route, method not allowed.
    @app.exception_handler(HTTPException)
    def _http(_: Request, error: HTTPException) -> Answer:
        status = HTTPStatus(error.status_code)
        # FastAPI's word for JSON that Python does not hold: no UTF-8, numbers of thousands of digits.
        if status is HTTPStatus.BAD_REQUEST:
            return answer(InvalidJson(NOT_JSON))
        document = problem(status.name.lower(), status.value, status.phrase, str(error.detail))
        return _json(document, dict(error.headers or {}))

    @app.exception_handler(ClientError)
    @app.exception_handler(BotoCoreError)
    def _aws(request: Request, error: ClientError | BotoCoreError) -> Answer:
        busy = of_aws(error)
        return answer(busy) if busy else _unexpected(request, error)

    @app.exception_handler(Exception)
    def _unexpected(_: Request, error: Exception) -> Answer:
        logger.error("unexpected", exc_info=error)
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return _json(problem("internal_error", status.value, status.phrase, "The failure was logged."), {})


def of_request(error: RequestValidationError) -> Problem:
    """What is wrong with a request that FastAPI refuses."""
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return InvalidJson(NOT_JSON)
    errors = [
        {"field": ".".join(map(str, fault["loc"]))[:FIELD_CHARACTERS], "message": fault["msg"]}
        for fault in faults[:FAULTS_SHOWN]
    ]
    detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in errors)
    return InvalidRequest(detail, errors=errors)


def of_aws(error: ClientError | BotoCoreError) -> Busy | None:
    """What it is to a client that AWS went on refusing after the SDK's own retries; None for a mistake of ours."""
    if isinstance(error, BotoCoreError):
        logger.warning("AWS could not be reached", error=str(error))
        return Busy(AGAIN)
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    code = error.response["Error"]["Code"]
    if status < 500 and "Throttl" not in code and code != "ProvisionedThroughputExceededException":
        return None
    logger.warning("AWS refused", operation=error.operation_name, error_code=code)
    return Busy(AGAIN)


def answer(error: Problem) -> Answer:
    return _json(error.document(), error.headers)


def _json(document: dict[str, Any], headers: dict[str, str]) -> Answer:
    audit.note(code=document["code"])
    return Answer(document, document["status"], headers, media_type=MEDIA_TYPE)
