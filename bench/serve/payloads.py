"""Models and requests, made on the spot: a linear model of four inputs, and the network 784-128-10 with one image."""
import json
import random
import struct
import subprocess
import sys

SIDE = {"tiny": 2, "mlp": 28}
NETWORK = {"tiny": "mlp:4-3", "mlp": "mlp:784-128-10"}


def command(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr or done.stdout}")
    return done.stdout


def make_model(hone, directory, name):
    """Trained for a moment on random images: what it has learnt changes no time."""
    side, chance = SIDE[name], random.Random(1)
    for part, count in (("train", 2048), ("t10k", 256)):
        (directory / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">IIII", 0x803, count, side, side) + chance.randbytes(count * side * side))
        (directory / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">II", 0x801, count) + bytes(i % 3 for i in range(count)))
    path = directory / f"{name}.onnx"
    command(hone, "train", "--model", NETWORK[name], "--data", f"idx:{directory}", "--epochs", 1, "--out", path)
    return path


# --- protocol buffers ---

def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, content):
    """A number, or a message, text or bytes."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def fields(message):
    """(number, content) of each varint and length-delimited field."""
    at = 0

    def number():
        nonlocal at
        x = shift = 0
        while True:
            byte = message[at]
            at += 1
            x |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return x

    while at < len(message):
        tag = number()
        size = number()
        if tag & 7 == 2:
            yield tag >> 3, message[at:at + size]
            at += size
        else:
            yield tag >> 3, size


# --- arrays ---

def floats(data):
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def write_npy(path, shape, values):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(11 + len(head)) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() +
                     struct.pack(f"<{len(values)}f", *values))


def read_npy(path):
    data = path.read_bytes()
    return floats(data[10 + struct.unpack("<H", data[8:10])[0]:])


# --- requests ---

class Request:
    """A request, whole, and what its answer must say: to the last bit what the model says in process."""

    def __init__(self, directory, name, path, body, head, read, expected):
        self.name, self.path, self.body, self.head = name, path, body, head
        self.read, self.expected = read, expected
        self.file = directory / f"{name}.body"
        self.file.write_bytes(body)
        self.model = path.split("/")[3].split(":")[0] if path[:2] == "/v" else "mlp"

    def is_right(self, answer):
        try:
            return self.read(answer) == self.expected
        except (ValueError, KeyError, IndexError, struct.error):
            return False


def flat(x):
    return [v for row in x for v in flat(row)] if isinstance(x, list) else [x]


def read_json(answer):
    values = flat(json.loads(answer)["predictions"])
    return floats(struct.pack(f"<{len(values)}f", *values))


def read_oip(answer):
    """The JSON ends where it says; the raw elements lie behind it."""
    head, end = json.JSONDecoder().raw_decode(answer.decode("latin-1"))
    assert head["outputs"][0]["datatype"] == "FP32"
    return floats(answer[end:])


def read_grpc(answer):
    outputs = dict(fields(dict(fields(answer[5:]))[1]))
    tensor = dict(fields(outputs[2]))
    return floats(tensor.get(4) or tensor[5])


def image(name, rows=1):
    chance = random.Random(2)
    return [round(chance.random(), 4) for _ in range(rows * SIDE[name] ** 2)]


def expect(hone, directory, model, name, values, rows=1):
    x, y = directory / "x.npy", directory / "y.npy"
    write_npy(x, (rows, 1, SIDE[name], SIDE[name]), values)
    command(hone, "run", model, "--input", f"input=@{x}", "--output", f"logits=@{y}")
    return read_npy(y)


def rest(hone, directory, model, name):
    """TensorFlow Serving's REST API, four decimals a number."""
    side, values = SIDE[name], image(name)
    rows = ",".join("[" + ",".join(f"{v:.4f}" for v in values[i * side:i * side + side]) + "]" for i in range(side))
    return Request(directory, f"rest-{name}", f"/v1/models/{name}:predict", f'{{"instances":[[[{rows}]]]}}'.encode(),
                   {"Content-Type": "application/json"}, read_json, expect(hone, directory, model, name, values))


def oip(hone, directory, model):
    """Open Inference Protocol over REST, with its binary extension."""
    values = image("mlp")
    raw = struct.pack("<784f", *values)
    head = json.dumps({"inputs": [{"name": "input", "shape": [1, 1, 28, 28], "datatype": "FP32",
                                   "parameters": {"binary_data_size": len(raw)}}],
                       "parameters": {"binary_data_output": True}}).encode()
    return Request(directory, "oip", "/v2/models/mlp/infer", head + raw,
                   {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))},
                   read_oip, expect(hone, directory, model, "mlp", values))


def grpc(hone, directory, model, rows=1):
    """TensorFlow Serving's Predict."""
    values = image("mlp", rows)
    shape = b"".join(field(2, field(1, n)) for n in (rows, 1, 28, 28))
    tensor = field(1, 1) + field(2, shape) + field(4, struct.pack(f"<{len(values)}f", *values))
    message = field(1, field(1, b"mlp")) + field(2, field(1, b"input") + field(2, tensor))
    return Request(directory, f"grpc-{rows}", "/tensorflow.serving.PredictionService/Predict",
                   b"\0" + struct.pack(">I", len(message)) + message,
                   {"content-type": "application/grpc", "te": "trailers"},
                   read_grpc, expect(hone, directory, model, "mlp", values, rows))
