#!/usr/bin/env python3
"""Serving, measured: Hone and its peers in turn, in one run, over loopback with the client on the same cores.

A run counts only if the server has answered well (its own counter) exactly the requests that were sent, and if the
answers that a client of ours looks at meanwhile say to the last bit what `hone run` says. Needs wrk, h2load and
nghttpd (packages wrk, nghttp2-client and nghttp2-server: what is not installed is unpacked into build/peers);
idle-tls needs openssl. What the cases are and what is to be reached: bench/serve/README.md."""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import payloads
from clients import Paced, Sampler, h2load, p99, wrk
from servers import ROOT, Hone, Nghttpd, Peers, Responder


class Row:
    """A figure of the server, in each run, beside the peer's; what it has to reach."""

    def __init__(self, case, what, unit, least=None, most=None, least_ratio=None, most_ratio=None):
        self.case, self.what, self.unit = case, what, unit
        self.least, self.most, self.least_ratio, self.most_ratio = least, most, least_ratio, most_ratio
        self.hone, self.peer, self.peer_name = [], [], None
        self.cost, self.peer_cost = [], []  # microseconds of CPU a request

    def median(self, values):
        return statistics.median(values) if values else None

    def ratio(self):
        return self.median([h / p for h, p in zip(self.hone, self.peer) if p]) if self.peer else None

    def is_reached(self):
        """None if there is nothing to reach."""
        value, ratio = self.median(self.hone), self.ratio()
        checks = [a is None or b is None or (b >= a if more else b <= a) for a, b, more in
                  ((self.least, value, True), (self.most, value, False),
                   (self.least_ratio, ratio, True), (self.most_ratio, ratio, False))]
        return all(checks) if any((self.least, self.most, self.least_ratio, self.most_ratio)) else None

    def target(self):
        parts = [f"≥ {self.least:,}"] if self.least else [f"< {self.most:,}"] if self.most else []
        parts += [f"≥ {self.least_ratio}×"] if self.least_ratio else [f"≤ {self.most_ratio}×"] if self.most_ratio else []
        return ", ".join(parts)

    def as_json(self):
        return {"case": self.case, "what": self.what, "unit": self.unit, "hone": self.median(self.hone),
                "runs": self.hone, "peer": self.peer_name, "peer_median": self.median(self.peer), "peer_runs": self.peer,
                "ratio": self.ratio(), "cpu_us": self.median(self.cost), "peer_cpu_us": self.median(self.peer_cost),
                "target": self.target(), "reached": self.is_reached()}


class Bench:
    def __init__(self, args, directory):
        self.args, self.directory = args, directory
        self.hone = args.build / "hone"
        self.peers = Peers(args.build)
        self.rows, self.peaks, self.requests = [], {}, {}
        self.models = {}
        for name in ("tiny", "mlp"):
            place = directory / name
            place.mkdir()
            self.models[name] = payloads.make_model(self.hone, place, name)

    def request(self, name, rows=1):
        if (name, rows) not in self.requests:
            model = self.models["tiny" if name == "rest-tiny" else "mlp"]
            self.requests[name, rows] = (
                payloads.oip(self.hone, self.directory, model) if name == "oip" else
                payloads.grpc(self.hone, self.directory, model, rows) if name == "grpc" else
                payloads.rest(self.hone, self.directory, model, name.partition("-")[2]))
        return self.requests[name, rows]

    def serve(self, *options, models=None):
        return Hone(self.hone, models or self.models, "--threads", self.args.threads, *options)

    def row(self, *parts, **targets):
        self.rows.append(Row(*parts, **targets))
        return self.rows[-1]

    def say(self, text):
        if not self.args.json:
            print(f"  {text}", file=sys.stderr, flush=True)

    def checked(self, server, request, load):
        """Makes load and sees that all of it, and nothing else, was answered well."""
        good, bad = server.answers()
        sampler = Sampler(lambda: server.client(request), request)
        sampler.start()
        try:
            done = load()
        finally:
            sent, wrong = sampler.stop()
        good, bad = server.answers()[0] - good, server.answers()[1] - bad
        load = done[0] if isinstance(done, tuple) else done
        if load.failed or wrong or bad or not load.done + sent <= good <= load.done + sent + load.open:
            raise RuntimeError(f"{request.name}: of {load.done} + {sent} requests {good} were answered well, {bad} not; "
                               f"{load.failed} failed, {wrong} looked at are wrong")
        return done

    def compare(self, row, server, peer, request, load):
        """The peer and Hone in turn."""
        for _ in range(self.args.runs):
            for target, values, costs in ((peer, row.peer, row.peer_cost), (server, row.hone, row.cost)):
                before = target.cpu_seconds()
                if target is server:
                    done = self.checked(server, request, lambda: load(server))
                else:
                    done = load(peer)
                values.append(done.rate)
                costs.append((target.cpu_seconds() - before) / done.done * 1e6)
            self.say(f"{row.case}: {row.hone[-1]:,.0f} {row.unit}, peer {row.peer[-1]:,.0f}, ratio "
                     f"{row.hone[-1] / row.peer[-1]:.2f}; CPU {row.cost[-1]:.1f} and {row.peer_cost[-1]:.1f} µs a request")

    # --- cases ---

    def http1(self, name, **targets):
        request = self.request(name)
        row = self.row(name, f"{request.path}, wrk, 64 connections", "req/s", **targets)
        with self.serve() as server, Responder(self.peers, self.directory, server, request, self.args.threads) as peer:
            row.peer_name = "responder"
            self.compare(row, server, peer, request,
                         lambda target: wrk(self.peers, target.url, request, self.args.seconds))
        self.peaks[name] = row.median(row.hone)

    def rest_tiny(self):
        self.http1("rest-tiny", least=80000, least_ratio=0.6)

    def rest_mlp(self):
        self.http1("rest-mlp", least=30000, least_ratio=0.35)

    def oip(self):
        self.http1("oip", least=50000)

    def grpc(self):
        request = self.request("grpc")
        row = self.row("grpc", "Predict, h2load, 8 connections, 32 streams each", "req/s", least=60000, least_ratio=0.4)
        row.peer_name = "nghttpd"
        with self.serve() as server, Nghttpd(self.peers, self.directory, server, request, self.args.threads) as peer:
            rate = h2load(self.peers, server.url, request, 20000, 8, "-m32").rate
            count = max(8, round(rate * self.args.seconds / 8) * 8)
            self.compare(row, server, peer, request,
                         lambda target: h2load(self.peers, target.url, request, count, 8, "-m32"))

    def paced(self, server, request, rate, seconds):
        """Milliseconds of each request."""
        return [ms for _, ms in self.checked(server, request, lambda: Paced(
            self.peers, server.url, request, rate, seconds).wait())[1]]

    def peak(self, server, name):
        if name not in self.peaks:
            self.peaks[name] = wrk(self.peers, server.url, self.request(name), self.args.seconds).rate
        return self.peaks[name]

    def latency(self):
        for name in ("rest-tiny", "rest-mlp"):
            request = self.request(name)
            with self.serve() as server, Responder(self.peers, self.directory, server, request, self.args.threads) as peer:
                rate = self.peak(server, name) / 2
                row = self.row("latency", f"p99 of {name} at {rate:,.0f} req/s", "ms", most=2)
                row.peer_name = "responder"
                for _ in range(self.args.runs):
                    times = Paced(self.peers, peer.url, request, rate, self.args.seconds).wait()[1]
                    row.peer.append(p99([ms for _, ms in times]))
                    row.hone.append(p99(self.paced(server, request, rate, self.args.seconds)))
                    self.say(f"latency: p99 {row.hone[-1]:.2f} ms, peer {row.peer[-1]:.2f}")

    def start(self):
        memory = self.row("start", "memory (RSS), idle, with the network", "MB", most=12)
        start = self.row("start", "from start to ready", "ms", most=50)
        for _ in range(self.args.runs):
            with self.serve(models={"mlp": self.models["mlp"]}) as server:
                time.sleep(0.3)
                memory.hone.append(server.memory())
                start.hone.append(server.start_seconds * 1e3)
        self.say(f"start: {memory.median(memory.hone):.1f} MB, {start.median(start.hone):.1f} ms")

    def idle(self, name, client, request, most, *options):
        """Connections that each have had one answer, and what others see of them."""
        count = self.args.idle
        memory = self.row(name, f"memory (RSS), {count:,} idle connections", "MB", most=most)
        slower = self.row(name, "p99 of rest-mlp at 2,000 req/s beside them", "ms", most_ratio=2)
        slower.peer_name = "without them"
        clients, other = [], self.request("rest-mlp")
        with self.serve("--max-connections", count + 1000, *options) as server, self.serve(*options) as empty:
            try:
                for _ in range(count):
                    clients.append(client(server))
                    if not request.is_right(clients[-1].send(request)):
                        raise RuntimeError(f"{name}: the answer of connection {len(clients)} is wrong")
                time.sleep(0.5)
                memory.hone.append(server.memory())
                for _ in range(self.args.runs):
                    slower.peer.append(p99(self.paced(empty, other, 2000, self.args.seconds)))
                    slower.hone.append(p99(self.paced(server, other, 2000, self.args.seconds)))
                for one in (clients[0], clients[-1]):
                    if not request.is_right(one.send(request)):
                        raise RuntimeError(f"{name}: a connection does not answer any more")
            finally:
                for one in clients:
                    one.close()
        self.say(f"{name}: {memory.hone[-1]:.0f} MB; p99 {slower.median(slower.hone):.2f} ms, "
                 f"without them {slower.median(slower.peer):.2f}")

    def idle_http1(self):
        self.idle("idle-http1", Hone.http1, self.request("rest-mlp"), 40)

    def idle_h2c(self):
        self.idle("idle-h2c", Hone.http2, self.request("grpc"), 200)

    def idle_tls(self):
        cert, key = self.directory / "cert.pem", self.directory / "key.pem"
        payloads.command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                         "-keyout", key, "-out", cert, "-days", 2, "-subj", "/CN=localhost")
        self.idle("idle-tls", Hone.http2, self.request("grpc"), 400, "--tls-cert", cert, "--tls-key", key)

    def scan(self):
        out = payloads.command(self.args.build / "bench_json")
        for line in out.splitlines():
            words = line.split()
            if words[0] != "scan":
                continue
            target = 800 if words[1] in ("%.4f", "%.9g") else None
            self.row("scan", f"floats written with {words[1]}, one thread", "MB/s", least=target).hone.append(
                float(words[words.index("MB/s") - 1]))

    def large(self):
        """40 MB at a time, and small requests beside them."""
        rows = 40_000_000 // (784 * 4)
        big, small = self.request("grpc", rows), self.request("rest-mlp")
        peak = self.row("large", "memory above idle for a 40 MB batch by gRPC, in batches", "×", most=2.5)
        beside = self.row("large", "p99 of rest-mlp at 1,000 req/s beside 40 MB batches", "ms", most=5)
        cost = self.row("large", "CPU of a 40 MB batch, and of the small requests beside it", "ms")
        beside.peer_name = "without them"
        with self.serve() as server:
            client = server.http2()
            for _ in range(self.args.runs):
                beside.peer.append(p99(self.paced(server, small, 1000, self.args.seconds)))
                idle = server.memory()
                server.reset_peak()
                if not big.is_right(client.send(big)):
                    raise RuntimeError("large: the answer is wrong")
                peak.hone.append((server.memory("VmHWM") - idle) / 40)
                good, _ = server.answers()
                others = Paced(self.peers, server.url, small, 1000, self.args.seconds + 2)
                time.sleep(1)
                began, used = time.time(), server.cpu_seconds()
                sent = h2load(self.peers, server.url, big, max(1, round(4 * self.args.seconds)), 1, "-m1")
                ended = time.time()
                cost.hone.append((server.cpu_seconds() - used) / sent.done * 1e3)
                done, times = others.wait()
                if done.failed or sent.failed or server.answers()[0] - good != done.done + sent.done:
                    raise RuntimeError("large: not all requests were answered well")
                beside.hone.append(p99([ms for at, ms in times if began <= at <= ended]))
                self.say(f"large: {peak.hone[-1]:.2f}×, p99 {beside.hone[-1]:.2f} ms, without {beside.peer[-1]:.2f}; "
                         f"CPU {cost.hone[-1]:.0f} ms")
            client.close()


CASES = {"rest-tiny": Bench.rest_tiny, "rest-mlp": Bench.rest_mlp, "grpc": Bench.grpc, "oip": Bench.oip,
         "latency": Bench.latency, "start": Bench.start, "idle-http1": Bench.idle_http1, "idle-h2c": Bench.idle_h2c,
         "idle-tls": Bench.idle_tls, "scan": Bench.scan, "large": Bench.large}


def raise_limit(need):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), max(hard, need)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if hard < need:
            print(f"no more than {hard} open files are allowed, {need} are needed for the idle connections: "
                  f"raise it with ulimit -n", file=sys.stderr)


def number(x):
    return "" if x is None else f"{x:,.0f}" if x >= 1000 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def show(rows):
    table = [("case", "figure", "Hone", "unit", "peer", "", "ratio", "CPU µs a request", "target", "")]
    for r in rows:
        reached = r.is_reached()
        cost = f"{r.median(r.cost):.1f} : {r.median(r.peer_cost):.1f}" if r.cost else ""
        table.append((r.case, r.what, number(r.median(r.hone)), r.unit, number(r.median(r.peer)), r.peer_name or "",
                      "" if r.ratio() is None else f"{r.ratio():.2f}×", cost, r.target(),
                      "" if reached is None else "ok" if reached else "MISSED"))
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print("  ".join(text.rjust(w) if i in (2, 4, 6) else text.ljust(w)
                        for i, (text, w) in enumerate(zip(line, widths))).rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help="where hone and bench_* are")
    parser.add_argument("--runs", type=int, default=5, help="of each case; figures are medians (default 5)")
    parser.add_argument("--seconds", type=float, default=2, help="of load in each run (default 2)")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 2), help="of each server (default 2)")
    parser.add_argument("--idle", type=int, default=10000, help="connections of the idle cases (default 10,000)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--json", action="store_true", help="one line for machines")
    args = parser.parse_args()
    args.build = args.build.resolve()
    unknown = [c for c in args.cases if c not in CASES]
    if unknown:
        parser.error(f"there is no case {unknown[0]}; there are {', '.join(CASES)}")
    for program in ("hone", "bench_responder", "bench_json"):
        if not (args.build / program).exists():
            sys.exit(f"{args.build / program} is not there: build it, or say --build DIR")
    raise_limit(args.idle + 200)
    broken = []
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(args, pathlib.Path(directory))
        for name in args.cases or CASES:
            try:
                CASES[name](bench)
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                broken.append(f"{name}: {error}")
    if args.json:
        print(json.dumps({"runs": args.runs, "seconds": args.seconds, "threads": args.threads, "cpus": os.cpu_count(),
                          "results": [r.as_json() for r in bench.rows if r.hone], "broken": broken}))
    else:
        show([r for r in bench.rows if r.hone])
    for line in broken:
        print(f"DOES NOT COUNT  {line}", file=sys.stderr)
    sys.exit(1 if broken or (args.strict and any(r.is_reached() is False for r in bench.rows if r.hone)) else 0)


if __name__ == "__main__":
    main()
