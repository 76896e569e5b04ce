#!/bin/sh
# All benchmarks, in release mode; prints figures and the machine they were taken on.
set -eu
cd "$(dirname "$0")/.."
echo "machine: $(nproc) cores, kernel $(uname -r), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
cargo bench --locked -p faultlab
