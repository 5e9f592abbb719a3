#!/bin/sh
# One batch on one machine in N shares at once, each tried again if it dies. Usage: parallel.sh payroll.csv N
set -eu
batch=$1 shares=$2
reports=$(mktemp -d ./shares-XXXXXX)   # its own, so that no report of another run is joined
seq "$shares" | parallel --will-cite --jobs "$shares" --retries 10 \
    docsend send --batch "$batch" --shard "{}/$shares" --report "$reports/{}.csv" --jobs 4 --quiet || true
docsend receipts merge "$reports"/*.csv > result.csv   # exit code 7: some rows were not received
