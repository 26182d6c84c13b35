.PHONY: build test setup lint bench torture agents agents-all install uninstall

# The binary as it is distributed: link-time optimised, which takes some minutes more than `cargo build --release`.
build:
	cargo build --profile dist --locked -p kirosu -p kirosu-load

# Everything that must pass, after an installation of what is missing; CI runs exactly this.
test: setup lint
	cargo test --workspace --all-features

# Programs that the tests need; installs only what is missing and says what it does.
setup:
	tests/setup.sh

lint: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features --quiet -- -D warnings

# Speed, beside Redis where redis-server is installed: minutes of work, on a quiet machine.
# BENCH='--only a,b --runs 5' chooses; `kirosu-bench --help` lists the rest.
bench: build
	target/dist/kirosu-bench --binary target/dist/kirosu $(BENCH)

# Faults under load, again and again, then the checker. TORTURE='--seed 7 --kills 20' chooses.
torture: build
	target/dist/kirosu-torture --binary target/dist/kirosu $(TORTURE)

# Real agent programs (some hundred MB from the npm registry) against a stand-in model: what CI runs, and the wider set.
agents:
	cargo test --test agents

agents-all:
	KIROSU_TEST_AGENTS="gemini qwen copilot" cargo test --test agents

# Binary, units, account, folders, settings, completions. Packagers set DESTDIR and PREFIX=/usr; the binary must have been
# built before (`make build`), so that nothing is compiled as root. Settings that are there already stay.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
BINARY ?= target/dist/kirosu
bindir = $(PREFIX)/bin
unitdir = $(PREFIX)/lib/systemd/system
sharedir = $(PREFIX)/share
units = kirosu.service kirosu-agent@.service

install:
	@test -x $(BINARY) || { echo "there is no $(BINARY) to install: run make build first" >&2; exit 1; }
	install -D -m 755 $(BINARY) $(DESTDIR)$(bindir)/kirosu
	for unit in $(units); do \
	  sed 's|/usr/local/bin/kirosu|$(bindir)/kirosu|; s|/etc/kirosu|$(SYSCONFDIR)/kirosu|g' deploy/systemd/$$unit \
	    | install -D -m 644 /dev/stdin $(DESTDIR)$(unitdir)/$$unit || exit 1; \
	done
	install -D -m 644 deploy/sysusers.d/kirosu.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/kirosu.conf
	install -D -m 644 deploy/tmpfiles.d/kirosu.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/kirosu.conf
	test -e $(DESTDIR)$(SYSCONFDIR)/kirosu/kirosu.toml || \
	  install -D -m 644 deploy/etc/kirosu/kirosu.toml $(DESTDIR)$(SYSCONFDIR)/kirosu/kirosu.toml
	$(BINARY) completions bash | install -D -m 644 /dev/stdin $(DESTDIR)$(sharedir)/bash-completion/completions/kirosu
	$(BINARY) completions zsh | install -D -m 644 /dev/stdin $(DESTDIR)$(sharedir)/zsh/site-functions/_kirosu
	$(BINARY) completions fish | install -D -m 644 /dev/stdin $(DESTDIR)$(sharedir)/fish/vendor_completions.d/kirosu.fish
	@test -n "$(DESTDIR)" || echo "installed; how to go on (account, key, start): docs/operations.md, \"As a service\""

# Settings, key and data stay.
uninstall:
	rm -f $(DESTDIR)$(bindir)/kirosu $(addprefix $(DESTDIR)$(unitdir)/,$(units))
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/kirosu.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/kirosu.conf
	rm -f $(DESTDIR)$(sharedir)/bash-completion/completions/kirosu $(DESTDIR)$(sharedir)/zsh/site-functions/_kirosu
	rm -f $(DESTDIR)$(sharedir)/fish/vendor_completions.d/kirosu.fish
