#!/bin/sh
. "$(dirname "$0")/lib.sh"
cat >t.json <<'EOF'
{"added_tokens": [{"id": 0, "content": "[CLS]", "special": true}],
 "pre_tokenizer": {"type": "WhitespaceSplit"},
 "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 0], "sep": ["[CLS]", 0]},
 "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 1, "the": 2, "cat": 3}}}
EOF
works tokenize t.json "the cat sat" --json
json 'd == {"ids": [2, 3, 1], "pieces": ["the", "cat", "?"]}'
works tokenize t.json "the cat" --template --json
json 'd["ids"] == [0, 2, 3, 0]'
works tokenize t.json "[CLS] cat" --special --json
json 'd["ids"] == [0, 3]'
works tokenize t.json "[CLS] cat" --json
json 'd["ids"] == [1, 3]'
printf 'cat\ncat\n' >text
works tokenize t.json --file text
[ "$(cat stdout)" = "      3  cat
      3  cat" ] && pass || fail "ids and pieces"
works tokenize t.json --decode 2,3,0
[ "$(cat stdout)" = "the cat" ] && pass || fail "the text of ids"
works tokenize t.json --decode 2,3,0 --special --json
json 'd["text"] == "the cat [CLS]"'
says 2 "hone tokenize: --decode takes ids, 17,4,9, not '2,x'" tokenize t.json --decode 2,x
says 2 "hone tokenize: one of TEXT, --file and --decode is needed" tokenize t.json
says_like 1 "hone tokenize: none.json: *" tokenize none.json a
mkdir -p model
cp t.json model/tokenizer.json
works tokenize model --decode 2,3
[ "$(cat stdout)" = "the cat" ] && pass || fail "a folder's tokenizer"
echo '{}' >bad.json
says 1 'hone tokenize: bad.json: the object "model" is missing' tokenize bad.json a
finish
