"""The servers that are measured: Hone, and its peers with the same answers. And where the peers' programs are."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

from clients import Http1, Http2, trusting_tls

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNPACKED = ROOT / "build/peers"
# The packages that a program is in or wants beside what is usually there.
PACKAGES = {"wrk": ["wrk", "libluajit-5.1-2"], "h2load": ["nghttp2-client", "libev4", "libc-ares2"],
            "nghttpd": ["nghttp2-server", "libev4", "libjemalloc2"]}
TICKS = os.sysconf("SC_CLK_TCK")


class Peers:
    def __init__(self, build):
        self.build = build
        self.look()

    def look(self):
        """Programs that are unpacked find their libraries beside them."""
        libraries = [str(p) for p in UNPACKED.glob("usr/lib/*-linux-gnu*")]
        self.environment = dict(os.environ)
        if libraries:
            self.environment["LD_LIBRARY_PATH"] = ":".join(libraries)

    def find(self, name):
        return shutil.which(name) or next((str(p) for p in (self.build / name, *UNPACKED.glob(f"usr/*bin/{name}"))
                                           if p.exists()), None)

    def path(self, name):
        found = self.find(name)
        if not found and name in PACKAGES:
            subprocess.run(["sh", "-c", f". scripts/packages.sh && need_peers {' '.join(PACKAGES[name])}"], cwd=ROOT,
                           stdout=subprocess.DEVNULL)
            self.look()
            found = self.find(name)
        if not found:
            raise FileNotFoundError(f"there is no {name}: " + (f"apt install {PACKAGES[name][0]}" if name in PACKAGES else
                                                               "build all, or say --build DIR"))
        return found


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until_open(address, process, limit=30):
    end = time.monotonic() + limit
    while True:
        try:
            socket.create_connection(address, timeout=5).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{process.args[0]} does not listen") from None
            time.sleep(0.001)


class Process:
    """One that listens at `address`."""

    def start(self, words, environment=None, port=None):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, stderr=self.errors,
                                        env=environment, text=True)
        self.address = ("127.0.0.1", port)
        if port:
            wait_until_open(self.address, self.process)

    tls = False

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.address[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def cpu_seconds(self):
        parts = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / TICKS

    def memory(self, name="VmRSS"):
        """Megabytes (10^6)."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{name}:\s*(\d+) kB", status).group(1)) * 1024e-6

    def reset_peak(self):
        """VmHWM counts from now."""
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


class Hone(Process):
    def __init__(self, hone, models, *options):
        began = time.monotonic()
        words = [hone, "serve", "--port", 0, *options]
        for name, path in models.items():
            words += ["--model", f"{name}={path}"]
        self.start(words)
        line = self.process.stdout.readline()
        if not line.startswith("listening at "):
            self.process.wait()
            self.errors.seek(0)
            raise RuntimeError(self.errors.read().decode())
        self.tls = "--tls-cert" in options
        self.address = ("127.0.0.1", int(line.rpartition(":")[2]))
        while not self.is_ready():
            time.sleep(0.0005)
        self.start_seconds = time.monotonic() - began

    def get(self, path):
        client = self.http1()
        try:
            return client.get(path)
        finally:
            client.close()

    def is_ready(self):
        return self.get("/readyz")[0] == 200

    def http1(self):
        return Http1(self.address, trusting_tls("http/1.1") if self.tls else None)

    def http2(self):
        return Http2(self.address, trusting_tls("h2") if self.tls else None)

    def client(self, request):
        return self.http2() if "te" in request.head else self.http1()

    def answers(self):
        """Predictions that were answered: (well, otherwise)."""
        text = self.get("/metrics")[1].decode()
        codes = {"200": 0}
        for labels, count in re.findall(r"^hone_requests_total\{(.*)\} (\d+)", text, re.M):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            if labels["method"] == "predict":
                codes[labels["code"]] = codes.get(labels["code"], 0) + int(count)
        return codes["200"], sum(codes.values()) - codes["200"]


class Responder(Process):
    """Answers with what Hone answered, head and body."""

    def __init__(self, peers, directory, hone, request, threads):
        with socket.create_connection(hone.address) as s:
            head = "".join(f"{k}: {v}\r\n" for k, v in request.head.items())
            s.sendall(f"POST {request.path} HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {len(request.body)}\r\n\r\n"
                      .encode() + request.body)
            answer = b""
            while b"\r\n\r\n" not in answer or len(answer) < answer.index(b"\r\n\r\n") + 4 + int(
                    re.search(rb"(?i)content-length: (\d+)", answer).group(1)):
                answer += s.recv(1 << 16)
        path, port = directory / f"{request.name}.answer", free_port()
        path.write_bytes(answer)
        self.start([peers.path("bench_responder"), port, threads, path], port=port)


class Nghttpd(Process):
    """Answers with the body of Hone's answer, from a file, and with gRPC's trailer."""

    def __init__(self, peers, directory, hone, request, threads):
        client = hone.client(request)
        answer = client.send(request)
        client.close()
        path, port = directory / "htdocs" / request.path[1:], free_port()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(answer)
        self.start([peers.path("nghttpd"), "--no-tls", "-a", "127.0.0.1", "-n", threads, "-d", directory / "htdocs",
                    "--trailer", "grpc-status: 0", port], peers.environment, port)
