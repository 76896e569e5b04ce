#!/usr/bin/env bash
# What `make run` does: installs what is missing, builds the program, shows a first verdict while the gateways are unpacked and the
# pocket kernel is built, and runs everything. Arguments go to `faultlab run`; with any, there is no first verdict. Nothing that
# cannot be had stops the rest: the lab skips what it cannot run, and says why. The exit code is the one of `faultlab run`.
set -u
cd "$(dirname "$0")/.." || exit 4
cargo=${CARGO:-cargo}
program=${CARGO_TARGET_DIR:-target}/release/faultlab
# Needs nothing but the in-house gateway and this machine's own kernel.
first=psk-mismatch-v2
began=$(date +%s)
say() { printf '%s\n' "make run, $(($(date +%s) - began)) s: $*" >&2; }

./tests/install-deps.sh || say "going on without these packages"
command -v "${cargo%% *}" >/dev/null || { say "cannot build without $cargo"; exit 1; }

log=$(mktemp) || exit 4
job=
# A process group of its own, so that all of it ends with us. (In a session of its own, nice would not count: the kernel shares the
# processor between sessions first.) The pocket kernel gets only what the program's build leaves: it
# is the first verdict that somebody waits for.
# shellcheck disable=SC2329 # called by the trap
end_job() { [ -z "$job" ] || kill -TERM -- "-$job" 2>/dev/null; }
trap 'end_job; rm -f "$log"' EXIT
trap 'exit 130' HUP INT TERM
progress=
[ ! -t 2 ] || progress=terminal
say "unpacking gateways and building the pocket kernel in the background; what they say comes after the program's build"
set -m
FAULTLAB_PROGRESS=$progress sh -c './tests/install-peers.sh; exec nice -n 19 ./harness/pocket/build.sh' >"$log" 2>&1 </dev/null &
job=$!
set +m

say "building the program"
# shellcheck disable=SC2086 # it may be `cargo +nightly`
$cargo build --locked --release -p faultlab || exit 1

# Unprivileged where the machine allows user namespaces; otherwise as root, with what was unpacked and built for this user.
sudo=
if [ "$(id -u)" != 0 ] && ! "$program" doctor >/dev/null && sudo=$(command -v sudo); then
    say "this machine allows namespaces to root only: the lab runs with sudo"
fi
lab() {
    set -- "$program" "$@"
    if [ -n "$sudo" ]; then
        for name in HOME XDG_CACHE_HOME FAULTLAB_PEERS FAULTLAB_KERNELS FAULTLAB_KERNEL; do
            eval "value=\${$name:-}"
            [ -z "$value" ] || set -- "$name=$value" "$@"
        done
        set -- "$sudo" env "$@"
    fi
    "$@"
}

# Only root may take back what `nice` gave away; others wait no longer on a machine that has nothing else to do.
renice -n 0 -g "$job" >/dev/null 2>&1 || true

if [ $# = 0 ] && kill -0 "$job" 2>/dev/null; then
    say "a first verdict: faultlab run $first --world host"
    lab run "$first" --world host || say "no first verdict on this machine's own kernel; the reason is above"
    say "now the gateways and the pocket kernel, which let all scenarios run"
fi
tail -n +1 -f --pid="$job" "$log" >&2
wait "$job" || say "going on without the pocket kernel"
job=

say "everything: faultlab run${*:+ $*}"
lab run "$@"
status=$?
# What root wrote is the user's.
[ -z "$sudo" ] || "$sudo" chown -R "$(id -u):$(id -g)" target/faultlab
say "the end"
exit "$status"
