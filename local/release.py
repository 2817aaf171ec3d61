"""`python -m local.release <built> <dist>`: the archives, lists of components and checksums of a release.

`make release` has built what goes in: `<built>/<architecture>` is the output of `sam build`, `<built>/*.cdx.json` are
lists of components, and the wheels are in `<dist>`. The same sources make the same bytes: entries are sorted and dated
the same, modes say only whether a file can be executed, and SOURCE_DATE_EPOCH is the only clock.
"""

import hashlib
import json
import os
import stat
import sys
import tomllib
import uuid
import zipfile
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
ARCHITECTURES = ("x86_64", "arm64")
LAYERS = {"CoreLayer": "core", "HasherLayer": "hasher", "SignInLayer": "sign-in"}
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a ZIP can name


def archive(folder: Path, target: Path) -> None:
    """All files of the folder, as a ZIP that depends on their names, bytes and the right to execute them."""
    files = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archived:
        for name, path in files:
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # Unix, whatever packs it: readers look at the mode then
            mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            archived.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


def components(listed: bytes, name: str, version: str, moment: int) -> bytes:
    """A CycloneDX document, named and dated, with a serial number that follows from the rest instead of chance."""
    document = json.loads(listed)
    component = document["metadata"]["component"]
    component["name"], component["version"] = name, version
    document["metadata"]["timestamp"] = datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
    document.pop("serialNumber", None)
    rest = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, rest)}"
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def main(built: Path, dist: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    moment = int(os.environ["SOURCE_DATE_EPOCH"])
    for architecture in ARCHITECTURES:
        archive(built / architecture, dist / f"sluice-{version}-{architecture}.zip")
        for layer, name in LAYERS.items():
            archive(built / architecture / layer, dist / f"sluice-{name}-layer-{version}-{architecture}.zip")
    archive(ROOT / "functions/api/dist", dist / f"sluice-page-{version}.zip")
    (dist / f"sluice-firewall-{version}.yaml").write_bytes((ROOT / "edge/firewall.yaml").read_bytes())
    for listed in built.glob("*.cdx.json"):
        name = listed.name.removesuffix(".cdx.json")
        (dist / f"{name}-{version}.cdx.json").write_bytes(components(listed.read_bytes(), name, version, moment))
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(dist.iterdir())]
    (dist / "SHA256SUMS").write_text("".join(sums))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
