"""Load for the tests: load.py URL BODY STOP THREADS posts the file BODY to URL, on one connection for each thread as long
as it holds, until the file STOP exists. Prints {"answers": {"200": N, ...}, "failures": [...]}: a failure is a request that got no answer."""

import collections
import http.client
import json
import os
import sys
import threading
import urllib.parse

url, body_file, stop, threads = sys.argv[1:5]
place = urllib.parse.urlsplit(url)
with open(body_file, "rb") as f:
    body = f.read()
answers = collections.Counter()
failures = []
lock = threading.Lock()


def ask(connection):
    try:
        connection.request("POST", place.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        with lock:
            answers[str(answer.status)] += 1
    except (OSError, http.client.HTTPException) as e:
        with lock:
            failures.append(repr(e))
        connection.close()


def work():
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=120)
    while not os.path.exists(stop):
        ask(connection)
        # what goes wrong at once must not go wrong a million times
        if len(failures) > 1000:
            return


workers = [threading.Thread(target=work) for _ in range(int(threads))]
for w in workers:
    w.start()
for w in workers:
    w.join()
print(json.dumps({"answers": answers, "failures": failures[:20]}))
