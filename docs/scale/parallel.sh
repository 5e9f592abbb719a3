#!/bin/sh
# One batch on one machine in N shares at once, each tried again if it dies. Usage: parallel.sh payroll.csv N
set -eu
batch=$1 shares=$2
seq "$shares" | parallel --will-cite --jobs "$shares" --retries 10 \
    docsend send --batch "$batch" --shard "{}/$shares" --report "result-{}.csv" --jobs 4 --quiet || true
docsend receipts merge result-*.csv > result.csv   # exit code 7: some rows were not received
