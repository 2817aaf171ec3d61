import os
from pathlib import Path

import boto3
from botocore.exceptions import ClientError
from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, StreamingResponse

app = FastAPI()
s3 = boto3.client("s3")
BUCKET = os.environ["BUCKET"]
CHUNK = 256 * 1024  # bytes that are in memory at once


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("index.html"))


@app.get("/files/{key:path}")
def download(key: str) -> StreamingResponse:
    try:
        found = s3.get_object(Bucket=BUCKET, Key=key)
    except ClientError as error:
        raise HTTPException(404, "no such file") from error
    # Function URLs call Content-Length `x-amzn-remapped-content-length`, so the size has a header of its own.
    size = str(found["ContentLength"])
    headers = {"content-length": size, "x-file-size": size}
    return StreamingResponse(found["Body"].iter_chunks(CHUNK), headers=headers, media_type=found["ContentType"])
