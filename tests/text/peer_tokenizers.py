#!/usr/bin/env python3
"""Has Hugging Face's tokenizers read what Hone's trainers write, and Hone read what theirs write: the ids of thousands of
strings must be the same, and decoding must give the same texts.

    HONE_BUILD=build/test peer_tokenizers.py [TEXT FILE ...]

Calls libhone.so. With files, the tokenizers are made of them instead of this test's own texts. The last line is
"N passed, N failed"; the exit status is 1 if any failed."""

import json
import pathlib
import random
import sys

try:
    import tokenizers
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
except ImportError:
    sys.exit(77)

from tokenizer_library import PLAIN, TEMPLATE, Hone

counts = [0, 0]


def check(name, holds, shown=""):
    counts[not holds] += 1
    if not holds:
        print(f"FAILED: {name} {shown}")


WORDS = """the of and a to in is you that it he was for on are as with his they I at be this have from or one had by
word but not what all were we when your can said there use an each which she do how their if will up other about out many
then them these so some her would make like him into time has look two more write go see number no way could people my than
first water been call who oil its now find long down day did get come made may part over new sound take only little work know
place year live me back give most very after thing our just name good sentence man think say great where help through much
before line right too mean old any same tell boy follow came want show also around form three small set put end does another
well large must big even such because turn here why ask went men read need land different home us move try kind hand picture
again change off play spell air away animal house point page letter mother answer found study still learn should world""".split()
ODD = ["naïve café", "Straße ẞ", "ΑΣΦΑΛΕΣ Σ", "İstanbul ı", "日本語のテキスト", "中文字符 mixed 英文", "한국어 문장", "עברית", "العربية",
       "हिन्दी में", "ไทย", "😀👩‍👩‍👧‍👦🇩🇪", "a\u0301e\u0308", "ﬁ ligature ½ ² Å", "tab\tnew\nline\r\n  end  ", "   ", "\u00a0\u2003x\u3000y", "zero\u200bwidth",
       "x=3.14159e-10;", "https://example.org/a?b=c#d", "snake_case camelCase", "it's we'll I'd they've IT'S", "...!!!???", "1234567890 12,345",
       "\x00\x01\x7f", "\ufffd", "", " ", "a", "don't n't 's", "e.g. i.e.", "[CLS] [SEP] </s> <pad>", "\u1680 \u2028 \u2029", "ſ K Å ʼn"]
RANGES = [(0x20, 0x7E), (0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x4E00, 0x4FFF), (0x3040, 0x30FF),
          (0x1F600, 0x1F64F), (0x2000, 0x206F), (0x300, 0x36F), (0x5D0, 0x5EA), (0x9, 0xD)]


def strings(count, seed):
    draw = random.Random(seed)
    for text in ODD:
        yield text
    for _ in range(count):
        kind = draw.random()
        if kind < 0.5:
            words = [draw.choice(WORDS) for _ in range(draw.randrange(1, 15))]
            words = [w.title() if draw.random() < 0.1 else w.upper() if draw.random() < 0.05 else w for w in words]
            yield draw.choice([" ", "  ", ", ", "\n", " - "]).join(words) + draw.choice(["", ".", "!", "\n\n", " "])
        elif kind < 0.8:
            low, high = draw.choice(RANGES)
            yield "".join(chr(draw.randint(low, high)) for _ in range(draw.randrange(1, 25)))
        else:
            parts = []
            for _ in range(draw.randrange(1, 12)):
                low, high = draw.choice(RANGES)
                parts.append(chr(draw.randint(low, high)) if draw.random() < 0.5 else draw.choice(WORDS))
            yield draw.choice(["", " "]).join(parts)


def corpus():
    if len(sys.argv) > 1:
        return [pathlib.Path(p).read_text(errors="ignore") for p in sys.argv[1:]]
    draw = random.Random(1)
    weights = [1 / (i + 1) for i in range(len(WORDS))]
    made = [" ".join(draw.choices(WORDS, weights, k=40)).capitalize() + ".\n" for _ in range(400)]
    return made + list(strings(600, 2))


def compare(name, ours, theirs, seed, count=3000, flags=TEMPLATE, decoding=True):
    wrong = []
    for text in strings(count, seed):
        mine, other = ours.encode(text, flags), theirs.encode(text, add_special_tokens=bool(flags & TEMPLATE)).ids
        if mine != other:
            wrong.append((text, mine[:12], other[:12]))
            continue
        if decoding and ours.decode(mine) != theirs.decode(other):
            wrong.append((text, ours.decode(mine), theirs.decode(other)))
    check(name, not wrong, f"{len(wrong)} of {count}, {[(repr(t), a, b) for t, a, b in wrong[:3]]}")


def made_here(texts):
    """Hone's trainers, read by tokenizers."""
    for i, description in enumerate(["bpe:1000", "wordpiece:800", "words:300"]):
        ours = Hone.train(description, texts)
        theirs = Tokenizer.from_str(ours.json())
        compare(f"{description} made here", ours, theirs, 10 + i)
        check(f"{description}: the same again", ours.json() == Hone.train(description, texts).json())
        check(f"{description}: the order of texts has no say", ours.json() == Hone.train(description, texts[::-1]).json())
    ours = Hone.train("bpe:1000", texts)
    wrong = [t for t in strings(3000, 14) if ours.decode(ours.encode(t, PLAIN), True) != t]
    check("bpe: decoding gives the text back", not wrong, repr(wrong[:3]))
    marked = "a</s>b <pad>"
    check("special tokens are text where that is asked for", 1 in ours.encode(marked) and not {0, 1} & set(ours.encode(marked, PLAIN)))


def same_merges(texts):
    """Both trainers on the same texts: the merges are the same, in the same order."""
    # a piece that two merges can make stands twice in the other's list of candidates: few merges, where that is rare
    ours = json.loads(Hone.train("bpe:600", texts).json())
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=600, min_frequency=2, special_tokens=["<pad>", "</s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    wanted = [" ".join(m) if isinstance(m, list) else m for m in json.loads(theirs.to_str())["model"]["merges"]]
    same = 0
    while same < len(wanted) and ours["model"]["merges"][same] == wanted[same]:
        same += 1
    check("the same merges", same == len(wanted), f"{same} of {len(wanted)}: {ours['model']['merges'][same:same + 2]}, {wanted[same:same + 2]}")


LLAMA_3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
GPT_4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
          r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
          r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def made_there(texts):
    """Their trainers and steps, read by Hone."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe = {"vocab_size": 700, "show_progress": False}
    specials = ["<|begin|>", "<|end|>"]

    def byte_level(pre):
        t = Tokenizer(models.BPE())
        t.pre_tokenizer = pre
        t.decoder = decoders.ByteLevel()
        return t, trainers.BpeTrainer(initial_alphabet=alphabet, special_tokens=specials, **bpe)

    def llama_3():
        return byte_level(pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA_3), "isolated"),
                                                   pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))

    def gpt_4o():
        return byte_level(pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(GPT_4O), "removed", invert=True),
                                                   pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))

    def digits():
        return byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel()]))

    def nfkc():
        t, trainer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))
        t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        return t, trainer

    def clip():
        t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", fuse_unk=True))
        t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
        t.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True)
        t.decoder = decoders.BPEDecoder("</w>")
        return t, trainers.BpeTrainer(special_tokens=["<unk>"], end_of_word_suffix="</w>", limit_alphabet=90, **bpe)

    def spaces():
        t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
        return t, trainers.BpeTrainer(special_tokens=["<unk>"] + [f"<0x{b:02X}>" for b in range(256)], limit_alphabet=90, **bpe)

    def bert():
        t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        t.normalizer = normalizers.BertNormalizer()
        t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        t.decoder = decoders.WordPiece()
        t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
        return t, trainers.WordPieceTrainer(vocab_size=600, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False)

    def cased():
        t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        t.normalizer = normalizers.BertNormalizer(lowercase=False, handle_chinese_chars=False)
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("contiguous")])
        t.decoder = decoders.WordPiece(cleanup=False)
        return t, trainers.WordPieceTrainer(vocab_size=600, special_tokens=["[UNK]"], show_progress=False)

    def words():
        t = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Strip()])
        t.pre_tokenizer = pre_tokenizers.Whitespace()
        return t, trainers.WordLevelTrainer(vocab_size=300, special_tokens=["[UNK]"], show_progress=False)

    def unigram(scheme):
        def make():
            t = Tokenizer(models.Unigram())
            t.normalizer = normalizers.NFKC()
            t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
            t.decoder = decoders.Metaspace(prepend_scheme=scheme)
            return t, trainers.UnigramTrainer(vocab_size=2000, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False)
        return make

    kinds = {"llama 3": llama_3, "gpt-4o": gpt_4o, "digits": digits, "nfkc": nfkc, "clip": clip, "spaces": spaces,
             "bert": bert, "cased": cased, "words": words, "unigram": unigram("always"), "unigram, first": unigram("first")}
    for i, (name, make) in enumerate(kinds.items()):
        theirs, trainer = make()
        theirs.train_from_iterator(texts, trainer)
        compare(f"{name} made there", Hone.parse(theirs.to_str()), theirs, 30 + i)


def added_tokens(texts):
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel()
    theirs.decoder = decoders.ByteLevel()
    theirs.normalizer = normalizers.Lowercase()
    theirs.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    theirs.add_special_tokens(["<|a|>", "<|ab|>", tokenizers.AddedToken("<|l|>", lstrip=True), tokenizers.AddedToken("<|r|>", rstrip=True)])
    theirs.add_tokens([tokenizers.AddedToken("hone", normalized=True), tokenizers.AddedToken("word", single_word=True, normalized=False)])
    ours = Hone.parse(theirs.to_str())
    draw, wrong = random.Random(5), []
    for _ in range(3000):
        text = "".join(draw.choice(["<|a|>", "<|ab|>", "<|l|>", "<|r|>", "Hone", "hone", "word", "words", " ", "  ", "x", "é", "\n"])
                       for _ in range(draw.randrange(1, 9)))
        if ours.encode(text) != theirs.encode(text).ids or ours.decode(ours.encode(text), True) != theirs.decode(theirs.encode(text).ids, skip_special_tokens=False):
            wrong.append((text, ours.encode(text), theirs.encode(text).ids))
    check("added tokens", not wrong, f"{len(wrong)}, {wrong[:2]}")


def main():
    texts = corpus()
    made_here(texts)
    same_merges(texts)
    made_there(texts)
    added_tokens(texts)
    print(f"{counts[0]} passed, {counts[1]} failed")
    return counts[1] > 0


sys.exit(main())
