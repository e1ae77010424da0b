"""What each model of the zoo is run on: photographs, speech, words."""

import json
import wave

import numpy as np
import onnxruntime
from PIL import Image

import files

F = np.float32
MEAN, STD = np.array([0.485, 0.456, 0.406], F), np.array([0.229, 0.224, 0.225], F)  # of ImageNet
SENTENCE = [101, 1996, 4248, 2829, 4419, 14523, 2058, 1996, 13971, 3899, 1012, 102]  # WordPiece, uncased
PHONEMES = "ðə kwˈɪk bɹˈaʊn fˈɑːks."  # espeak's


class Source:
    """Where cases get their inputs from."""

    def __init__(self, folder):
        self.folder, self.numbers = folder, np.random.default_rng(5)

    def photo(self, name, size=None, mode="RGB", box=None):
        """Pixels from 0 to 255, [height, width, channels]."""
        picture = Image.open(files.fetch(f"data/{name}.png", self.folder)).convert(mode)
        if box:
            picture = picture.crop(box)
        return np.asarray(picture.resize(size, Image.BILINEAR) if size else picture, F)

    def speech(self):
        with wave.open(str(files.fetch("data/austen-0870.wav", self.folder))) as w:
            return np.frombuffer(w.readframes(w.getnframes()), np.int16)

    def ids(self, most, *shape):
        return self.numbers.integers(1, most, shape)

    def uniform(self, *shape):
        return self.numbers.random(shape, F)

    def outputs(self, model, feeds):
        """Another model's outputs, which some models take."""
        session = onnxruntime.InferenceSession(files.fetch(model, self.folder), providers=["CPUExecutionProvider"])
        return dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))


def planes(pixels, mean=F(0.5), std=F(0.5)):
    return np.ascontiguousarray(((pixels / F(255) - mean) / std).transpose(2, 0, 1)[None], F)


def line(s, size):
    return s.photo("page", size, box=(0, 0, 384, 32))


def read_line(s):
    files.fetch("vision/ppocr4-keys.txt", s.folder)  # the characters, for examples/read_page.py
    return {"x": planes(line(s, (576, 48)))}


def lines(s, size):
    with_alpha = np.concatenate([s.photo("coffee", (size, size)), np.ones((size, size, 1), F)], 2)
    return {"input_image_with_alpha:0": with_alpha[None]}


def faces(s, step, count):
    face = (s.photo("astronaut") - F(127.5)) / F(128)
    return np.stack([face[i : i + 96 : step, 180:276:step] for i in range(0, 20 * count, 20)])


def letters(s):
    return {"input1": (s.photo("text", (168, 64), "L")[None, None] / F(255) - F(0.5)) * F(2)}


def frames_of_speech(s):
    x = s.speech()[: 16000 * 2].astype(F)
    return x[None]


def mel(s):
    return s.outputs("speech/oww-mel.onnx", {"input": frames_of_speech(s)})["output"].reshape(-1, 32) / F(10) + F(2)


def embedding_windows(s):
    m = mel(s)
    return np.stack([m[i % (len(m) - 76) :][:76] for i in range(0, 16 * 8, 8)])[..., None]


def wake_word(s):
    e = s.outputs("speech/oww-embedding.onnx", {"input_1": embedding_windows(s)})["conv2d_19"]
    return {"onnx::Flatten_0": e.reshape(1, 16, 96)}


def phonemes(s):
    ids = json.loads(files.fetch("speech/piper-joe.json", s.folder).read_text(encoding="utf-8"))["phoneme_id_map"]
    row = ids["^"] + [i for p in PHONEMES if p in ids for i in ids["_"] + ids[p]] + ids["_"] + ids["$"]
    return {"input": np.array([row]), "input_lengths": np.array([len(row)]), "scales": np.array([0, 1, 0], F)}


def noisy(s):
    return {"feat_erb": s.uniform(1, 1, 100, 32), "feat_spec": s.uniform(1, 2, 100, 96) - F(0.5)}


def cleaned(s, *names):
    made = s.outputs("speech/dfn3-enc.onnx", noisy(s))
    return {name: made[name] for name in names}


def states(s, columns, size, cells, count):
    """200 frames, and the states of two of three layers, in which music models begin."""
    feeds = {"input": s.uniform(200, columns)}
    for i in [i for i in range(1, count) if i % 3]:
        for kind in ("hidden", "cell")[: 1 + cells]:
            feeds[f"state_{i}_{kind}_in"] = np.zeros(size, F)
    return feeds


def sentence(*names):
    ids = np.array([SENTENCE])
    return dict(zip(names, (ids, np.ones_like(ids), np.zeros_like(ids))))


def characters(s, most):
    return s.ids(most, 40, 21).astype(F)


QUANTIZED = {"rms": 0.05}  # a value between two integers may be rounded either way: of all, the root mean square counts

# name: (file, its inputs, how near), the small ones first
CASES = {
    "blazeface": ("vision/blazeface-front.onnx", lambda s: {"input:0": s.photo("astronaut", (128, 128))[None] / F(127.5) - 1}),
    "mtcnn-pnet": ("vision/mtcnn-pnet.onnx", lambda s: {"input_1": faces(s, 1, 1)[:, :90]}),
    "mtcnn-rnet": ("vision/mtcnn-rnet.onnx", lambda s: {"input_2": faces(s, 4, 8)}),
    "mtcnn-onet": ("vision/mtcnn-onet.onnx", lambda s: {"input_3": faces(s, 2, 4)}),
    "orientation-lcnet": ("vision/orientation-lcnet.onnx", lambda s: {"x": planes(s.photo("page", (224, 224)), MEAN, STD)}),
    "silero-vad": ("speech/silero-vad-v5.onnx", lambda s: {"input": frames_of_speech(s)[:, 8000:8576] / F(32768),
                   "state": np.zeros((2, 1, 128), F), "sr": np.array(16000)}),
    "thai-attacut": ("language/thai-attacut.onnx", lambda s: {"input": s.ids(139, 1, 2, 60)}),
    "thai-deepcut": ("language/thai-deepcut.onnx", lambda s: {"input_1": characters(s, 178), "input_2": characters(s, 12)}),
    "thai-oskut-lstm": ("language/thai-oskut-lstm.onnx", lambda s: {"input1": characters(s, 178), "input2": characters(s, 12),
                        "input3": characters(s, 12)}),
    "tashkeel-bilstm-int8": ("language/tashkeel-bilstm-int8.onnx", lambda s: {"input_ids": s.ids(54, 1, 48)}, QUANTIZED),
    "tashkeel-rawi-int8": ("language/tashkeel-rawi-int8.onnx", lambda s: {"input": s.ids(100, 1, 48)}, QUANTIZED),
    # larger ones
    "mlsd-320-tiny": ("vision/mlsd-320-tiny.onnx", lambda s: lines(s, 320)),
    "mlsd-512-large": ("vision/mlsd-512-large.onnx", lambda s: lines(s, 512)),
    "ppocr4-det": ("vision/ppocr4-det.onnx", lambda s: {"x": planes(s.photo("page", (384, 192)), MEAN, STD)}),
    "ppocr4-det-640": ("vision/ppocr4-det.onnx", lambda s: {"x": planes(s.photo("page", (640, 640)), MEAN, STD)}),
    "ppocr4-rec": ("vision/ppocr4-rec.onnx", read_line),
    "ppocr4-cls": ("vision/ppocr4-cls.onnx", lambda s: {"x": planes(line(s, (192, 48)))}),
    "ppocr5-det": ("vision/ppocr5-det.onnx", lambda s: {"x": planes(s.photo("page", (384, 192)), MEAN, STD)}),
    "ppocr5-rec": ("vision/ppocr5-rec.onnx", lambda s: {"x": planes(line(s, (576, 48)))}),
    "ppocr5-cls": ("vision/ppocr5-cls.onnx", lambda s: {"x": planes(line(s, (160, 80)))}),
    "dddd-ocr": ("vision/dddd-ocr.onnx", letters),
    "dddd-ocr-int8": ("vision/dddd-ocr-int8.onnx", letters, QUANTIZED),
    "dddd-det-yolox": ("vision/dddd-det-yolox.onnx", lambda s: {"images": np.ascontiguousarray(
                       s.photo("text", (416, 416))[:, :, ::-1].transpose(2, 0, 1)[None])}),
    "captcha-crnn": ("vision/captcha-crnn.onnx", lambda s: {"image": planes(s.photo("text", (160, 60)))}),
    "layout-picodet": ("vision/layout-picodet.onnx", lambda s: {"image": planes(s.photo("page", (608, 800)), MEAN, STD)}),
    "nsfw-resnet50": ("vision/nsfw-resnet50-thin.onnx", lambda s: {"input_0": s.photo("astronaut", (224, 224))[None, :, :, ::-1] -
                      np.array([104, 117, 123], F)}),
    "oww-mel": ("speech/oww-mel.onnx", lambda s: {"input": frames_of_speech(s)}),
    "oww-embedding": ("speech/oww-embedding.onnx", lambda s: {"input_1": embedding_windows(s)}),
    "oww-alexa": ("speech/oww-alexa.onnx", wake_word),
    "piper-joe": ("speech/piper-joe.onnx", phonemes, {"atol": 1e-3, "rtol": 5e-3}),
    "dfn3-enc": ("speech/dfn3-enc.onnx", noisy),
    "dfn3-erb-dec": ("speech/dfn3-erb_dec.onnx", lambda s: cleaned(s, "emb", "e3", "e2", "e1", "e0")),
    "dfn3-df-dec": ("speech/dfn3-df_dec.onnx", lambda s: cleaned(s, "emb", "c0")),
    "madmom-beats-lstm": ("speech/madmom-beats-lstm.onnx", lambda s: states(s, 314, 25, True, 9)),
    "madmom-onsets-rnn": ("speech/madmom-onsets-rnn.onnx", lambda s: states(s, 482, 88, False, 9)),
    "madmom-bars-gru": ("speech/madmom-bars-gru.onnx", lambda s: states(s, 24, 25, False, 6)),
    "madmom-key-cnn": ("speech/madmom-key-cnn.onnx", lambda s: {"input": s.uniform(100, 105)}),
    "minilm-l6": ("language/minilm-l6.onnx", lambda s: sentence("input_ids", "attention_mask", "token_type_ids")),
    "minilm-l6-int8": ("language/minilm-l6-int8.onnx", lambda s: sentence("input_ids", "attention_mask", "token_type_ids"), QUANTIZED),
    "grammar-distilbert-qdq": ("language/grammar-distilbert-qdq.onnx", lambda s: sentence("input_ids", "attention_mask"), QUANTIZED),
    "lac-gru": ("language/lac-gru.onnx", lambda s: {"token_ids": s.ids(58224, 2, 24), "length": np.array([24, 17])}),
}  # fmt: skip
SMALL = list(CASES)[:11]
