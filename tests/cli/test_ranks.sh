#!/bin/bash
# Training by several processes: as by one, whoever is killed, and with more or fewer of them when it goes on.
. "$(dirname "$0")/lib.sh"
module=$(dirname "$HONE")/libhone_mpi.so
if [ ! -e "$module" ] || ! command -v mpirun >/dev/null; then exit 77; fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
timeout 60 mpirun -n 3 true >/dev/null 2>&1 || exit 77 # such as where processes may not speak to each other
# What MPI does not give back at the end is not ours.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"

# ranks COUNT ARGUMENT...: as hone, by so many processes.
ranks() {
    count=$1
    shift
    timeout 120 mpirun -n "$count" "$HONE" "$@" >stdout 2>stderr </dev/null
    status=$?
}
ranks_work() {
    ranks "$@"
    if [ "$status" -eq 0 ]; then pass; else fail "mpirun -n $*: exit status $status"; fi
}

# A table of 1,003 lines: the last batch of an epoch has fewer samples than there are processes.
awk 'BEGIN { srand(1); print "a,b,c,y"
    for (i = 0; i < 1003; i++) { a = rand() - .5; b = rand() - .5; c = rand() - .5
        printf "%f,%f,%f,%s\n", a, b, c, (a * b + c / 4 > 0 ? "hi" : "lo") } }' >t.csv
table="--data csv:t.csv --target y --lr 0.05 --threads 1"

answers() { "$HONE" eval "$1" --data csv:t.csv --target y --predictions "$1.csv" >/dev/null 2>&1; }
# close_to MODEL MODEL: their outputs are the same within 1e-5.
close_to() {
    answers "$1" && answers "$2" &&
        paste -d, "$1.csv" "$2.csv" | awk -F, 'NR > 1 { for (i = 1; i <= NF / 2; i++) { d = $i - $(i + NF / 2)
            if (d > 1e-5 || d < -1e-5) bad = 1 } } END { exit bad || NR < 1000 }'
}

for options in "--batch 37 --epochs 2 --validation 0.1" "--batch 37 --epochs 2 --accumulate 3 --clip-norm 1" \
    "--batch 2 --epochs 1"; do
    # shellcheck disable=SC2086
    works train --model mlp:32-32 $table $options --out one.onnx
    for count in 2 3; do
        # shellcheck disable=SC2086
        ranks_work $count train --model mlp:32-32 $table $options --out several.onnx
        if [ "$(grep -c '^wrote' stdout)" = 1 ] && [ "$(grep -c '^trained' stdout)" = 1 ] &&
            grep -q "$count processes" stderr; then pass; else fail "$count processes: not said once"; fi
        if close_to one.onnx several.onnx; then pass; else fail "$count processes, $options: another model"; fi
    done
done

# Goes on by one, by three: where two were, and the same comes out.
# shellcheck disable=SC2086
works train --model mlp:32-32 $table --batch 37 --epochs 4 --out one.onnx
# shellcheck disable=SC2086
ranks_work 2 train --model mlp:32-32 $table --batch 37 --epochs 4 --out stopped.onnx --checkpoint ck --checkpoint-steps 10 --logdir log
steps=$(find ck -name 'step-*' | sort | head -n 1)
basename "$steps" >ck/LATEST
for count in 1 3; do
    # shellcheck disable=SC2086
    ranks_work $count train --model mlp:32-32 $table --batch 37 --epochs 4 --out on.onnx --resume ck
    if close_to one.onnx on.onnx; then pass; else fail "going on with $count processes: another model"; fi
done
if [ "$(find log -name '*.tfevents.*' | wc -l)" = 1 ]; then pass; else fail "one process writes events"; fi

# A process that is killed ends all of them, and what was reached is there.
mkfifo wait
# shellcheck disable=SC2086
timeout 120 mpirun -n 2 "$HONE" train --model mlp:256-256 $table --batch 37 --epochs 100000 --out never.onnx --checkpoint killed \
    --checkpoint-steps 20 >stdout 2>stderr </dev/null &
job=$!
until_so test -e killed/LATEST
pkill -9 -n -f "train --model mlp:256-256 .* --out never.onnx --checkpoint killed"
wait $job
status=$?
if [ $status -ne 0 ] && grep -q 'exited on signal 9' stderr && [ -e killed/LATEST ] && [ ! -e never.onnx ]; then
    pass
else
    fail "a killed process: exit status $status"
fi

# Started by mpirun where the module is not: that is said.
mkdir lonely
cp "$(dirname "$HONE")"/libhone.so.0 lonely/
# shellcheck disable=SC2086
LD_LIBRARY_PATH=$PWD/lonely OMPI_COMM_WORLD_SIZE=4 "$HONE" train --model mlp:32-32 $table --out never.onnx >stdout 2>stderr
status=$?
if [ "$status" -eq 1 ] && grep -q 'one of 4 processes of mpirun.*libhone_mpi.so' stderr; then
    pass
else
    fail "without the module: exit status $status"
fi

# One that fails ends all of them.
ranks 2 train --model mlp:32-32 --data csv:none.csv --target y --out never.onnx
if [ "$status" -ne 0 ] && grep -q 'none.csv' stderr; then pass; else fail "no file: exit status $status"; fi

finish
