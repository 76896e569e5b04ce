# The verbs of this project; continuous integration calls the same ones.
CARGO ?= cargo

.PHONY: run test test-only chaos bench check install-deps peers kernel everything clean

## run: installs what is missing, builds, shows a first verdict, then reproduces and explains every failure
run:
	@CARGO="$(CARGO)" ./tests/run-lab.sh $(ARGS)

## test: everything that can be tested on this machine (installs what it needs first)
test: everything test-only

test-only:
	./tests/run-all.sh

## chaos: CASES=500 runs in which something is killed or stopped, or runs out; FIRST=17 CASES=1 repeats one
chaos:
	$(CARGO) build --locked -p faultlab
	FAULTLAB_CHAOS_CASES=$(or $(CASES),500) FAULTLAB_CHAOS_FIRST=$(or $(FIRST),1) $(CARGO) test --locked -p faultlab-tests --test chaos

## bench: figures, never pass or fail
bench: install-deps
	./tests/run-bench.sh

## check: formatting, lints, documentation; licences and sources of dependencies where cargo-deny is installed
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check licenses bans sources; \
	else echo "dependencies not checked: cargo install --locked cargo-deny"; fi
	@# Without a provider (VirtualBox, or libvirt with vagrant-libvirt) the box itself cannot be checked.
	@if command -v vagrant >/dev/null; then vagrant validate 2>/dev/null || vagrant validate --ignore-provider; \
	else echo "Vagrantfile not checked: apt-get install vagrant"; fi

## install-deps: Debian or Ubuntu packages; elsewhere says what is missing
install-deps:
	@CARGO="$(CARGO)" ./tests/install-deps.sh

# What cannot be had is told, and does not stop the rest: the lab then skips what it cannot run, and says why.
everything: install-deps
	-@./tests/install-peers.sh
	-@./harness/pocket/build.sh

## kernel: the pocket kernel, from the distribution's kernel source (some minutes, once)
kernel:
	@./harness/pocket/build.sh

## peers: strongSwan, libreswan and OpenIKED, unpacked beside the system (no root needed, nothing installed)
peers:
	@./tests/install-peers.sh

clean:
	$(CARGO) clean
