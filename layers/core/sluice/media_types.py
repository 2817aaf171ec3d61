"""Media types: what a client declares, what a filename suggests, and which types are accepted.

What is accepted is a list of media ranges as RFC 9110, section 12.5.1, has them, `*/*`, `image/*` or `application/pdf`,
and of filename extensions, `.heic` or `.tar.gz`.
"""

import mimetypes
import re
from collections.abc import Iterable, Sequence
from posixpath import splitext

from sluice.limits import MAX_CONTENT_TYPE_CHARACTERS, MAX_MEDIA_RANGE_CHARACTERS

# RFC 9110, section 5.6.2.
TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
ANY = "*/*"
UNKNOWN = "application/octet-stream"

# RFC 9110, sections 5.6.4 and 8.3.1, with empty parameters (`text/plain;`). Tabs and what is not ASCII are left out:
# the type becomes a header of S3 and of downloads. Browsers do not quote what they should: MediaRecorder's types are
# `video/webm;codecs=vp8,opus`, so a value without quotes is anything visible but `;` and `"`.
# No two parts of the expression take the same text, so matching never backtracks far.
_QUOTED = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_UNQUOTED = r"[!#-:<-~]+(?: +[!#-:<-~]+)*"
_CONTENT_TYPE = re.compile(rf"{TOKEN}/{TOKEN}(?: *;(?: *{TOKEN}=(?:{_QUOTED}|{_UNQUOTED}))?)*")
_RANGE = re.compile(rf"\*/\*|(?!\*/|\.){TOKEN}/{TOKEN}")
_EXTENSION = re.compile(r"(?:\.[a-z0-9][a-z0-9_+~-]*)+")

# Extensions that Python's table lacks, or has as something else in another version of Python.
_MORE_TYPES = {
    ".7z": "application/x-7z-compressed",
    ".apk": "application/vnd.android.package-archive",
    ".avif": "image/avif",
    ".br": "application/x-brotli",
    ".bz2": "application/x-bzip2",
    ".dng": "image/x-adobe-dng",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".epub": "application/epub+zip",
    ".flac": "audio/flac",
    ".geojson": "application/geo+json",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".gz": "application/gzip",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".ics": "text/calendar",
    ".js": "text/javascript",
    ".jsonl": "application/jsonl",
    ".jxl": "image/jxl",
    ".log": "text/plain",
    ".m2ts": "video/mp2t",
    ".m4a": "audio/mp4",
    ".m4v": "video/x-m4v",
    ".markdown": "text/markdown",
    ".md": "text/markdown",
    ".mid": "audio/midi",
    ".midi": "audio/midi",
    ".mjs": "text/javascript",
    ".mkv": "video/x-matroska",
    ".mts": "video/mp2t",
    ".ndjson": "application/x-ndjson",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".opus": "audio/ogg",
    ".otf": "font/otf",
    ".parquet": "application/vnd.apache.parquet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".psd": "image/vnd.adobe.photoshop",
    ".rar": "application/vnd.rar",
    ".rtf": "application/rtf",
    ".sqlite": "application/vnd.sqlite3",
    ".svgz": "image/svg+xml",
    ".tbz2": "application/x-bzip2",
    ".tgz": "application/gzip",
    ".toml": "application/toml",
    ".ttf": "font/ttf",
    ".txz": "application/x-xz",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zst": "application/zstd",
}
# Without files, because every machine has others.
_BY_EXTENSION = mimetypes.MimeTypes(filenames=()).types_map[True] | _MORE_TYPES

# How people call a file of this type, and files of it.
_NAMES = {
    "application/gzip": ("a gzip archive", "gzip archives"),
    "application/json": ("a JSON file", "JSON files"),
    UNKNOWN: ("a file of unknown type", "files of unknown type"),
    "application/pdf": ("a PDF file", "PDF files"),
    "application/zip": ("a ZIP archive", "ZIP archives"),
    "image/gif": ("a GIF image", "GIF images"),
    "image/heic": ("a HEIC image", "HEIC images"),
    "image/jpeg": ("a JPEG image", "JPEG images"),
    "image/png": ("a PNG image", "PNG images"),
    "image/svg+xml": ("an SVG image", "SVG images"),
    "image/webp": ("a WebP image", "WebP images"),
    "text/csv": ("a CSV file", "CSV files"),
    "text/html": ("an HTML page", "HTML pages"),
    "text/markdown": ("a Markdown file", "Markdown files"),
    "text/plain": ("plain text", "plain text"),
    "video/mp4": ("an MP4 video", "MP4 videos"),
}
_KINDS = {
    "audio/*": "audio files",
    "font/*": "fonts",
    "image/*": "images",
    "text/*": "text files",
    "video/*": "videos",
}


def check(content_type: str) -> str:
    """The type as a client declares it, without spaces around it. Raises ValueError."""
    text = content_type.strip(" ")
    if len(text) > MAX_CONTENT_TYPE_CHARACTERS:
        raise ValueError(f"should have at most {MAX_CONTENT_TYPE_CHARACTERS} characters")
    if not _CONTENT_TYPE.fullmatch(text):
        raise ValueError("should be a media type such as text/plain")
    return text


def guess(filename: str) -> str:
    """The type that the name's extension suggests, on every machine the same; UNKNOWN where it suggests none."""
    return _BY_EXTENSION.get(splitext(filename)[1].lower(), UNKNOWN)


def ranges(listed: Iterable[str]) -> tuple[str, ...]:
    """The ranges and extensions in lower case, each once. Raises ValueError for what is neither, and where none is."""
    found = tuple(dict.fromkeys(one.strip().lower() for one in listed))
    for one in found:
        if len(one) > MAX_MEDIA_RANGE_CHARACTERS or not (_RANGE.fullmatch(one) or _EXTENSION.fullmatch(one)):
            raise ValueError(
                f"{one[:40]!r} is neither a media type nor a range such as image/* nor an extension as .pdf"
            )
    if not found:
        raise ValueError("at least one media type is needed")
    return found


def accepts(allowed: Iterable[str], content_type: str, filename: str) -> bool:
    """Whether one of the `ranges` has the type, or ends the name. Neither parameters nor upper and lower case count."""
    essence, name = _essence(content_type), filename.lower()
    kind = essence.partition("/")[0]
    return any(one in (ANY, essence, f"{kind}/*") or (one.startswith(".") and name.endswith(one)) for one in allowed)


def describe(content_type: str) -> str:
    """What a file of this type is, in words: `a PDF file`, `of type text/x-python`."""
    essence = _essence(content_type)
    return _NAMES[essence][0] if essence in _NAMES else f"of type {essence}"


def describe_ranges(allowed: Sequence[str], most: int = 10) -> str:
    """What is accepted, in words: `images, PDF files and .heic files`; of more than `most` the first ones."""
    words = [_plural(one) for one in allowed[:most]]
    if len(allowed) > most:
        words.append(f"{len(allowed) - most} other types")
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _plural(one: str) -> str:
    if one == ANY:
        return "all files"
    if one in _KINDS:
        return _KINDS[one]
    return _NAMES[one][1] if one in _NAMES else f"{one} files"


def _essence(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
