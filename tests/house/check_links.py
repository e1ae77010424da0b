#!/usr/bin/env python3
"""Links between the documents lead somewhere: to files that are there, and to headings that are in them."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT = {"build", ".git"}


def text_of(page):
    """Without fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)


def anchors(page):
    """The names that readers on the web give to headings."""
    headings = re.findall(r"^#+ +(.*)$", text_of(page), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def wrong(page, target):
    """Why a link leads nowhere; None if it leads somewhere."""
    path, _, anchor = target.partition("#")
    to = (page.parent / path).resolve() if path else page
    if not to.exists():
        return "there is no such file"
    if anchor and anchor not in anchors(to):
        return "there is no such heading"
    return None


def main():
    pages = [p for p in sorted(ROOT.rglob("*.md")) if p.relative_to(ROOT).parts[0] not in BUILT]
    count = failed = 0
    for page in pages:
        for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
            if re.match(r"[a-z]+:", target):
                continue
            count += 1
            why = wrong(page, target)
            if why:
                failed += 1
                print(f"{page.relative_to(ROOT)}: {target}: {why}")
    print(f"{count} links in {len(pages)} documents, {failed} lead nowhere")
    return 1 if failed or count < 20 else 0


sys.exit(main())
