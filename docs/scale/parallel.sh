#!/bin/sh
# Send one batch on one machine in N concurrent shares; retry a share that dies. Usage: parallel.sh payroll.csv N
set -eu
batch=$1 shares=$2
reports=$(mktemp -d ./shares-XXXXXX)   # a new folder, so that no report of another run is merged
seq "$shares" | parallel --will-cite --jobs "$shares" --retries 10 \
    docsend send --batch "$batch" --shard "{}/$shares" --report "$reports/{}.csv" --jobs 4 --quiet || true
# 0: everything was received. 7: unfinished rows, or a share without a report. 9: only faulty or refused rows are left.
docsend receipts merge "$reports"/*.csv > result.csv
