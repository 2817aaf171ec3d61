"""Pages of the site whose text lies outside docs/, and links that lead out of it."""

import re
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
# The page of the site -> the file in the repository.
PAGES: Final = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "streaming-runtime.md": "layers/streaming_runtime/README.md",
}
PAGE_OF: Final = {source: page for page, source in PAGES.items()} | {"README.md": "index.md"}
# A link's text, the path without a scheme, and the anchor. Images begin with an exclamation mark.
LINK: Final = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
# In a table GitHub wants the bar of a code span escaped, and Python-Markdown would show the backslash.
CODE: Final = re.compile(r"`[^`\n]+`")
# A test's name is one long word, which a table would cut anywhere.
TEST: Final = re.compile(r"(?<=<code>)[^<]*::test_[^<]*(?=</code>)")
FENCE: Final = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for page, source in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """On GitHub a link may lead anywhere in the repository; here to the page of that file, or it is plain text."""
    source = PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    if page.parent is None:
        page.meta["hide"] = ["navigation"]  # a list of the section would have this page alone
    here = "../" * page.file.src_uri.count("/")

    def led(link: re.Match[str]) -> str:
        text, path, anchor = link.groups()
        target = (ROOT / source).parent.joinpath(path).resolve()
        if not target.exists():
            raise PluginError(f"{source} links to {path}, which does not exist")
        inside = target.relative_to(ROOT).as_posix()
        if inside in PAGE_OF:
            return f"[{text}]({here}{PAGE_OF[inside]}{anchor or ''})"
        if inside.startswith("docs/"):
            return f"[{text}]({here}{inside.removeprefix('docs/')}{anchor or ''})"
        return f"{text} (`{inside}`)" if text.strip("`") not in inside else f"`{inside}`"

    def adapted(text: str) -> str:
        return CODE.sub(lambda code: code[0].replace("\\|", "|"), LINK.sub(led, text))

    pieces = FENCE.split(markdown)
    return "".join(piece if piece.startswith("```") else adapted(piece) for piece in pieces)


def on_page_content(html: str, **_: object) -> str:
    return TEST.sub(lambda name: re.sub(r"(_|::)", r"\1<wbr>", name[0]), html)
