"""Clients of our own, for answers that are looked at and for connections that stay open, and the programs that make
load: wrk and h2load."""
import functools
import http.client
import json
import re
import socket
import ssl
import struct
import subprocess
import threading

# --- HTTP/1.1 and HTTP/2 ---


class Http1:
    def __init__(self, address, tls=None):
        self.connection = (http.client.HTTPSConnection(*address, timeout=60, context=tls) if tls else
                           http.client.HTTPConnection(*address, timeout=60))

    def get(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def send(self, request):
        self.connection.request("POST", request.path, request.body, request.head)
        return self.connection.getresponse().read()

    def close(self):
        self.connection.close()


DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
LARGEST_WINDOW, LARGEST_FRAME = 2**31 - 1, 16384


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(text):
    """A string of HPACK, which is shorter than 127 bytes or says its length in two more."""
    data = text.encode()
    if len(data) < 127:
        return bytes([len(data)]) + data
    return bytes([127, (len(data) - 127) & 127]) + data


class Http2:
    """Just enough of HTTP/2: one request after the other. Fields are sent as literals, and not read."""

    def __init__(self, address, tls=None):
        self.socket = socket.create_connection(address, timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.next, self.window, self.first_window, self.pending = 1, 65535, 65535, b""
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
                            frame(SETTINGS, 0, 0, struct.pack(">HI", 4, LARGEST_WINDOW)) +
                            frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", LARGEST_WINDOW - 65535)))

    def read_frame(self):
        while len(self.pending) < 9 or len(self.pending) < 9 + int.from_bytes(self.pending[:3], "big"):
            piece = self.socket.recv(1 << 18)
            if not piece:
                raise ConnectionError("the server has closed the connection")
            self.pending += piece
        size = int.from_bytes(self.pending[:3], "big")
        head, payload = self.pending[:9], self.pending[9:9 + size]
        self.pending = self.pending[9 + size:]
        return head[3], head[4], int.from_bytes(head[5:9], "big"), payload

    def take_frame(self, stream):
        """Its kind, flags and payload, if it is one of `stream`'s answer."""
        kind, flags, of, payload = self.read_frame()
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                key, value = struct.unpack(">HI", payload[at:at + 6])
                if key == 4:
                    self.stream_window += value - self.first_window
                    self.first_window = value
            self.socket.sendall(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.socket.sendall(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            gained = int.from_bytes(payload, "big")
            if of == 0:
                self.window += gained
            else:
                self.stream_window += gained
        elif kind in (GOAWAY, RST_STREAM):
            raise ConnectionError(f"the server has ended the {'connection' if kind == GOAWAY else 'stream'}")
        elif of == stream:
            return kind, flags, payload
        return None, 0, b""

    def send(self, request):
        stream, at, answer = self.next, 0, b""
        self.next += 2
        self.stream_window = self.first_window
        head = b"\x83\x86" + b"".join(b"\0" + literal(name.lower()) + literal(value) for name, value in
                                      {":path": request.path, ":authority": "localhost", **request.head}.items())
        self.socket.sendall(frame(HEADERS, END_HEADERS, stream, head))
        while True:
            room = min(self.window, self.stream_window, LARGEST_FRAME, len(request.body) - at)
            if room > 0:
                last = at + room == len(request.body)
                self.socket.sendall(frame(DATA, END_STREAM if last else 0, stream, request.body[at:at + room]))
                self.window -= room
                self.stream_window -= room
                at += room
                continue
            kind, flags, payload = self.take_frame(stream)
            if kind == DATA:
                answer += payload
            if flags & END_STREAM and kind in (DATA, HEADERS):
                return answer

    def close(self):
        self.socket.close()


@functools.lru_cache
def trusting_tls(protocol):
    """For servers with certificates made for the occasion."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    tls.set_alpn_protocols([protocol])
    return tls


class Sampler(threading.Thread):
    """Looks at an answer now and then while others make load."""

    def __init__(self, make_client, request):
        super().__init__()
        self.make_client, self.request = make_client, request
        self.enough = threading.Event()
        self.sent = self.wrong = 0

    def run(self):
        client = self.make_client()
        try:
            while True:
                self.sent += 1
                self.wrong += not self.request.is_right(client.send(self.request))
                if self.enough.wait(0.05):
                    return
        except OSError:
            self.wrong += 1
        finally:
            client.close()

    def stop(self):
        self.enough.set()
        self.join()
        return self.sent, self.wrong


# --- load ---

class Load:
    """`done` requests were answered, up to `open` more were under way when it ended."""

    def __init__(self, done, rate, failed, open_=0):
        self.done, self.rate, self.failed, self.open = done, rate, failed, open_


def run_program(peers, words, limit=600):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=limit, env=peers.environment)
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr or done.stdout}")
    return done.stdout


def wrk(peers, url, request, seconds, connections=64):
    script = request.file.with_suffix(".lua")
    script.write_text('wrk.method = "POST"\nlocal body = assert(io.open(%s, "rb"))\nwrk.body = body:read("*a")\n' %
                      json.dumps(str(request.file)) +
                      "".join(f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}\n" for k, v in request.head.items()))
    out = run_program(peers, [peers.path("wrk"), "-t2", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", 30,
                              "-s", script, url + request.path])
    number = {name: sum(map(float, re.findall(pattern, out))) for name, pattern in {
        "done": r"(\d+) requests in", "rate": r"Requests/sec: *([\d.]+)", "bad": r"Non-2xx or 3xx responses: (\d+)",
        "connect": r"connect (\d+)", "read": r"read (\d+),", "write": r"write (\d+)", "timeout": r"timeout (\d+)"}.items()}
    failed = sum(number[k] for k in ("bad", "connect", "read", "write", "timeout"))
    return Load(int(number["done"]), number["rate"], int(failed), connections)


def h2load_words(peers, url, request, count, connections, *more):
    words = [peers.path("h2load"), "-t1", f"-c{connections}", f"-n{count}", "-d", request.file, *more]
    for name, value in request.head.items():
        words += ["-H", f"{name}: {value}"]
    return [*words, url + request.path]


def read_h2load(out):
    done, failed, errored, timeouts = (int(re.search(rf"(\d+) {word}", out).group(1))
                                       for word in ("succeeded", "failed", "errored", "timeout"))
    other = sum(map(int, re.search(r"(\d+) 3xx, (\d+) 4xx, (\d+) 5xx", out).groups()))
    return Load(done, float(re.search(r"([\d.]+) req/s", out).group(1)), failed + errored + timeouts + other)


def h2load(peers, url, request, count, connections, *more):
    return read_h2load(run_program(peers, h2load_words(peers, url, request, count, connections, *more)))


def p99(values):
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


class Paced:
    """So many requests a second over HTTP/1.1 for so many seconds, each one timed."""

    def __init__(self, peers, url, request, rate, seconds, connections=16):
        self.log = request.file.with_suffix(".log")
        self.log.unlink(missing_ok=True)
        each = max(1, round(rate / connections))
        count = max(1, round(each * seconds)) * connections
        self.process = subprocess.Popen(
            [str(w) for w in h2load_words(peers, url, request, count, connections, "--h1", f"--rps={each}",
                                          f"--log-file={self.log}")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=peers.environment)

    def wait(self):
        """The load, and the milliseconds of each request by the time it began."""
        out, _ = self.process.communicate(timeout=600)
        if self.process.returncode:
            raise RuntimeError(out)
        lines = [line.split("\t") for line in self.log.read_text().splitlines()]
        return read_h2load(out), [(int(start) * 1e-6, int(took) * 1e-3) for start, _, took in lines]
