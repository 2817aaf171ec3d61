"""Whether the function answers, for monitors. It asks nothing of AWS."""

from fastapi import APIRouter

router = APIRouter()


@router.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "ok"}
