"""Whether the function answers, for monitors. It asks nothing of AWS."""

from fastapi import APIRouter

from functions.api import openapi

router = APIRouter()


@router.get("/healthz", **openapi.HEALTH)
def health() -> dict[str, str]:
    return {"status": "ok"}
