#!/bin/sh
. "$(dirname "$0")/lib.sh"
commands="train eval quantize prune distill optimize run inspect bench serve version"
works --help
for command in $commands; do prints "  $command "; done
cp stdout overview
works help
holds "hone help is hone --help" cmp stdout overview
hone
holds "without a command: exit status 2" [ $status -eq 2 ]
holds "without a command: the overview on stderr" cmp stderr overview
for command in $commands; do
    works help "$command"
    cp stdout help
    prints "usage: hone $command"
    prints "options:"
    works "$command" --help
    holds "hone $command --help is hone help $command" cmp stdout help
    works "$command" -h
    holds "no line of hone $command --help is over 110 columns" awk 'length > 110 { exit 1 }' help
done
works train --epochs 3 --help
prints "(default 10)"
prints "(default 0: all CPUs)"
works serve --help
prints "(default 512; 0: no limit)"
says 2 "hone: unknown command 'trian'; did you mean 'train'?" trian
says 2 "hone: unknown command 'frobnicate'; \`hone help\` lists the commands" frobnicate
says 2 "hone: unknown command 'evla'; did you mean 'eval'?" help evla
says 2 "hone: unknown option '--frob'; a command comes first" --frob
says 2 "hone: unexpected argument 'eval'" help train eval
works version
prints "hone "
prints "cpu "
works version --json
json 'sorted(d) == ["cpu", "version"] and d["version"].count(".") == 2'
works --version
HONE_CPU=generic works version
prints "cpu generic"
finish
