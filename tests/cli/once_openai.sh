#!/bin/sh
# OpenAI's own client, and LangChain's if it is installed, against `hone serve` of a language model.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" -c 'import numpy, onnx, openai' 2>/dev/null || exit 77
clients="$root/tests/serve/peer_openai.py"
export PYTHONDONTWRITEBYTECODE=1
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY

"$HONE_PYTHON" "$clients" make letters.gguf >make.log 2>&1
needs "a model to serve: $(tail -n 5 make.log)" [ -s letters.gguf ]
printf 'someone predict,metrics open-sesame\n' >secrets
chmod 600 secrets
works import letters.gguf --out models/letters/1
mkdir -p embed/1
cp models/letters/1/tokenizer.json embed/1
"$HONE_PYTHON" "$clients" embedder embed/1 >make.log 2>&1
needs "a model that embeds: $(tail -n 5 make.log)" [ -s embed/1/model.onnx ]
start_server letters.gguf --model embed=embed --auth-file secrets
needs "the server listens: $(cat serve.err)" [ -n "$url" ]
timeout 300 "$HONE_PYTHON" "$clients" serve "$url/v1" >clients.log 2>&1
holds "the clients get what they want: $(tail -n 60 clients.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' clients.log

# curl, and a stream as it comes
curl -s -N -H 'Authorization: Bearer open-sesame' "$url/v1/chat/completions" \
    -d '{"model": "letters", "stream": true, "temperature": 0, "messages": [{"role": "user", "content": "x"}]}' >stdout
prints '"delta": {"content": "y"}'
holds "the stream ends as it should" [ "$(grep -v '^$' stdout | tail -n 1)" = "data: [DONE]" ]
curl -s -N --http2-prior-knowledge -H 'Authorization: Bearer open-sesame' "$url/v1/chat/completions" \
    -d '{"model": "letters", "stream": true, "temperature": 0, "messages": [{"role": "user", "content": "x"}]}' >stdout
prints '"delta": {"content": "y"}'
holds "the stream ends as it should over HTTP/2" [ "$(grep -v '^$' stdout | tail -n 1)" = "data: [DONE]" ]
echo '{"model": "letters", "prompt": "a", "max_tokens": 2, "temperature": 0}' | gzip |
    curl -s -H 'Authorization: Bearer open-sesame' -H 'Content-Encoding: gzip' --data-binary @- "$url/v1/completions" >stdout
prints '"text": "bc"'
kill -TERM "$pid"
wait "$pid"
holds "the server ends well" [ $? -eq 0 ]

# the same from a directory that hone import wrote, and from versions of it
mkdir -p models/file/1 models/link/1
cp letters.gguf models/file/1/model.gguf
ln -s "$work/letters.gguf" models/link/1/model.gguf
start_server --repository models
needs "the server listens: $(cat serve.err)" [ -n "$url" ]
curl -s "$url/v1/completions" -d '{"model": "letters", "prompt": "a", "max_tokens": 2, "temperature": 0}' >stdout
prints '"text": "bc"'
curl -s "$url/v1/completions" -d '{"model": "file", "prompt": "a", "max_tokens": 2, "temperature": 0}' >stdout
prints '"text": "bc"'
curl -s "$url/v1/models/link" >stdout
prints 'leads out of the directory of its model'
kill -TERM "$pid"
wait "$pid"
start_server models/letters/1 --context 20
curl -s "$url/v1/completions" -d '{"model": "1", "prompt": "a", "max_tokens": 20}' >stdout
prints 'a context of 20'
kill -TERM "$pid"
wait "$pid"
finish
