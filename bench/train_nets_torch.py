"""The networks of train_nets.py as PyTorch modules, and one training step of each: what train_vs_torch.py runs as its peer.

    python train_nets_torch.py NAME MODE THREADS OPTIMIZER    MODE: eager, compile

It says `ready`, its version, trained numbers and the seconds from the start to the first step; then it reads numbers of
seconds and answers with the median step in microseconds, that of the processor time of a step, and the peak memory in MB, line by line. Images lie with their channels last
and optimizers are fused: what is fastest in PyTorch."""
import time

START = time.perf_counter()
import statistics  # noqa: E402
import sys  # noqa: E402

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from train_nets_shapes import MOBILE, SHAPES  # noqa: E402


def cbr(i, o, kernel=3, stride=1, groups=1, act=nn.ReLU):
    layers = [nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers, *([act(inplace=True)] if act else []))


class Residual(nn.Module):
    def __init__(self, i, o, stride=1):
        super().__init__()
        self.body = nn.Sequential(cbr(i, o, 3, stride), cbr(o, o, act=None))
        self.short = nn.Identity() if i == o and stride == 1 else cbr(i, o, 1, stride, act=None)

    def forward(self, x):
        return F.relu(self.body(x) + self.short(x))


class Inverted(nn.Module):
    def __init__(self, i, o, stride, expansion):
        super().__init__()
        h = i * expansion
        expand = [cbr(i, h, 1, act=nn.ReLU6)] if expansion > 1 else []
        self.body = nn.Sequential(*expand, cbr(h, h, 3, stride, h, nn.ReLU6), cbr(h, o, 1, act=None))
        self.adds = stride == 1 and i == o

    def forward(self, x):
        return x + self.body(x) if self.adds else self.body(x)


class EncoderLayer(nn.Module):
    def __init__(self, d, heads, hidden):
        super().__init__()
        self.heads, self.n1, self.n2 = heads, nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out, self.up, self.down = nn.Linear(d, 3 * d), nn.Linear(d, d), nn.Linear(d, hidden), nn.Linear(hidden, d)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(self.n1(x)).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d))
        return x + self.down(F.gelu(self.up(self.n2(x))))


class Encoder(nn.Module):
    def __init__(self, vocabulary, d, layers, heads, tokens, classes):
        super().__init__()
        self.words, self.places = nn.Embedding(vocabulary, d), nn.Parameter(torch.randn(tokens, d) * 0.02)
        self.layers = nn.Sequential(*[EncoderLayer(d, heads, 4 * d) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, classes)

    def forward(self, ids):
        return self.head(self.norm(self.layers(self.words(ids) + self.places)).mean(1))


class CausalLayer(nn.Module):
    def __init__(self, d, heads, hidden):
        super().__init__()
        self.heads, self.n1, self.n2 = heads, nn.RMSNorm(d), nn.RMSNorm(d)
        self.q, self.k, self.v, self.o = (nn.Linear(d, d, bias=False) for _ in range(4))
        self.gate, self.up, self.down = nn.Linear(d, hidden, bias=False), nn.Linear(d, hidden, bias=False), nn.Linear(hidden, d, bias=False)

    def forward(self, x, cos, sin):
        n, t, d = x.shape
        h = self.n1(x)
        q, k, v = (f(h).view(n, t, self.heads, d // self.heads).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = (torch.cat([a * cos - b * sin, b * cos + a * sin], -1) for a, b in (y.chunk(2, -1) for y in (q, k)))
        x = x + self.o(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(n, t, d))
        h = self.n2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Lm(nn.Module):
    def __init__(self, vocabulary=4096, d=192, layers=4, heads=6, hidden=512, tokens=128):
        super().__init__()
        self.words = nn.Embedding(vocabulary, d)
        nn.init.normal_(self.words.weight, std=0.02)
        self.layers, self.norm = nn.ModuleList([CausalLayer(d, heads, hidden) for _ in range(layers)]), nn.RMSNorm(d)
        half = d // heads // 2
        angles = torch.arange(tokens)[:, None] / 10000 ** (torch.arange(half) / half)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, ids):
        x = self.words(ids)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        return F.linear(self.norm(x), self.words.weight).flatten(0, 1)


class Gru(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.gru, self.head = nn.Conv1d(32, 64, 5, 2, 2), nn.GRU(64, 96, batch_first=True, bidirectional=True), nn.Linear(192, 36)

    def forward(self, x):
        y, _ = self.gru(F.relu(self.conv(x[:, 0].transpose(1, 2))).transpose(1, 2))
        return self.head(y.mean(1))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(128, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.head = nn.EmbeddingBag(60000, 64, mode="mean"), nn.Linear(64, 26)

    def forward(self, ids):
        return self.head(self.words(ids))


def mlp(*sizes):
    return nn.Sequential(*[m for i, o in zip(sizes, sizes[1:]) for m in (nn.Linear(i, o), nn.ReLU())][:-1])


def separable(i, o, stride=1):
    return nn.Sequential(cbr(i, i, 3, stride, i), cbr(i, o, 1))


def head(channels, classes):
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)


def mobilenet():
    blocks = [Inverted(o if n else i, o, 1 if n else s, e) for i, o, count, s, e in MOBILE for n in range(count)]
    return nn.Sequential(cbr(3, 32, 3, 2, act=nn.ReLU6), *blocks, cbr(320, 1280, 1, act=nn.ReLU6), *head(1280, 10))


def resnet18():
    widths = ((64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1))
    return nn.Sequential(cbr(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1), *[Residual(*w) for w in widths], *head(512, 10))


def resnet20():
    widths = [(i if n == 0 else o, o, s if n == 0 else 1) for i, o, s in ((16, 16, 1), (16, 32, 2), (32, 64, 2)) for n in range(3)]
    return nn.Sequential(cbr(3, 16), *[Residual(*w) for w in widths], *head(64, 10))


MAKE = {
    "mlp": lambda: mlp(784, 128, 10),
    "lenet300": lambda: mlp(784, 300, 100, 10),
    "cnn-small": lambda: nn.Sequential(cbr(1, 32, 5, 2), cbr(32, 48), nn.MaxPool2d(2), cbr(48, 64), cbr(64, 64), *head(64, 10)),
    "cnn-resnet": lambda: nn.Sequential(cbr(1, 24, 5, 2), cbr(24, 48), Residual(48, 48), nn.MaxPool2d(2), cbr(48, 96), Residual(96, 96), Residual(96, 96), *head(96, 10)),
    "dscnn-kws": lambda: nn.Sequential(cbr(1, 48, 5, 2), separable(48, 48), separable(48, 64, 2), separable(64, 64), separable(64, 96, 2), *head(96, 36)),
    "gru-kws": Gru,
    "bag": Bag,
    "encoder": lambda: Encoder(8000, 128, 2, 4, 48, 26),
    "lm": Lm,
    "mobilenetv2-96": mobilenet,
    "resnet18-224": resnet18,
    "two-conv": lambda: nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10)),
    "resnet20": resnet20,
    "transformer": lambda: Encoder(8000, 256, 4, 8, 128, 4),
    "lstm": Lstm,
}
OPTIMIZERS = {
    "sgd": lambda m: torch.optim.SGD(m.parameters(), 1e-3, momentum=0.9, fused=True),
    "adamw": lambda m: torch.optim.AdamW(m.parameters(), 1e-3, weight_decay=0.01, fused=True),
}


def stepper(name, mode, optimizer):
    batch, shape, is_words, classes = SHAPES[name]
    model = MAKE[name]().train()
    x = torch.randint(1, 4000, (batch, *shape)) if is_words else torch.randn(batch, *shape)
    if x.dim() == 4 and name != "gru-kws":
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, classes, (batch * shape[0] if name == "lm" else batch,))
    updates = OPTIMIZERS[optimizer](model)
    forward = torch.compile(model) if mode == "compile" else model

    def step():
        updates.zero_grad(set_to_none=True)
        F.cross_entropy(forward(x), labels).backward()
        updates.step()

    return step, sum(p.numel() for p in model.parameters())


def peak_memory():
    """In MB, of this program alone: what getrusage tells is the parent's, where that had more."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


def main():
    name, mode, threads, optimizer = sys.argv[1:5]
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    step, trained = stepper(name, mode, optimizer)
    first = time.perf_counter() - START
    for _ in range(3):
        step()
    print("ready", torch.__version__, trained, first, flush=True)
    for line in sys.stdin:
        times, spent, end = [], [], time.perf_counter() + float(line)
        while len(times) < 3 or time.perf_counter() < end:
            start, used = time.perf_counter(), time.process_time()
            step()
            times.append(time.perf_counter() - start)
            spent.append(time.process_time() - used)
        print(statistics.median(times) * 1e6, statistics.median(spent) * 1e6, peak_memory(), flush=True)


if __name__ == "__main__":
    main()
