#!/bin/sh
# Runs every test and says at the end how many were skipped and why.
set -u
cd "$(dirname "$0")/.." || exit 4
log=$(mktemp) || exit 4
trap 'rm -f "$log"' EXIT
status=0
# The trials of the command line run the program itself, which `cargo test` alone does not build.
cargo build --locked -p faultlab || exit 1
cargo test --locked --workspace --no-fail-fast 2>&1 | tee "$log"
# POSIX sh has no pipefail: judge by the runners' own closing lines.
if grep -qE '^test result: FAILED|^error(\[|:)|panicked at .*build' "$log"; then status=1; fi
grep -qE '^test result:' "$log" || status=1
passed=$(sed -n 's/^test result: .* \([0-9][0-9]*\) passed.*/\1/p' "$log" | awk '{n+=$1} END {print n+0}')
failed=$(sed -n 's/^test result: .* \([0-9][0-9]*\) failed.*/\1/p' "$log" | awk '{n+=$1} END {print n+0}')
ignored=$(sed -n 's/^test result: .* \([0-9][0-9]*\) ignored.*/\1/p' "$log" | awk '{n+=$1} END {print n+0}')
skips=$(grep -oE 'skipped\(.*\)' "$log" | sort | uniq -c)
counted=$(grep -cE 'skipped\(.*\)' "$log")
[ "$counted" -ge "$ignored" ] || counted=$ignored
echo
if [ "$counted" -gt 0 ]; then
    echo "skipped, and why:"
    [ -z "$skips" ] || echo "$skips"
    # Measurements, which are run by name.
    grep -E '\.\.\. ignored' "$log"
else
    echo "nothing was skipped"
fi
if [ "$failed" -gt 0 ]; then
    # Once more at the end, where a reader of a long log looks: what each failed test said, and the list of their names.
    echo "what failed:"
    awk '/^failures:$/ {on = 1; next} /^test result:/ {on = 0} on && NF' "$log" | cut -c1-300 | tail -n 40
fi
echo "$passed passed, $failed failed, $counted skipped"
exit $status
