.PHONY: build test setup lint bench torture agents agents-all screenshots install uninstall

# The distributed binary: link-time optimised, which takes some minutes longer than `cargo build --release`.
build:
	cargo build --profile dist --locked -p kirosu -p kirosu-load

# All checks and tests, after the installation of missing programs. CI runs exactly this.
test: setup lint
	cargo test --workspace --all-features

# Programs that the tests need: installs only missing ones and prints each step.
setup:
	tests/setup.sh

lint: setup
	cargo fmt --all --check
	rustfmt --check --edition 2024 actors/hub/src/verbs/*.rs src/cli/*.rs src/cli/*/mod.rs
	python3 tests/style.py
	target/tools/bin/typos
	target/tools/bin/cargo-deny --offline check licenses bans sources
	cargo clippy --workspace --all-targets --all-features --quiet -- -D warnings

# Speed, compared with Redis if redis-server is installed. Takes minutes and needs an idle machine.
# BENCH='--only a,b --runs 5' selects; `kirosu-bench --help` lists all options.
bench: build
	target/dist/kirosu-bench --binary target/dist/kirosu $(BENCH)

# Faults under load, then a check of all histories. TORTURE='--seed 7 --kills 20' selects.
torture: build
	target/dist/kirosu-torture --binary target/dist/kirosu $(TORTURE)

# Pictures of every screen of the web page, into target/screenshots, and those of the documents into docs/images.
screenshots:
	KIROSU_SCREENSHOTS=$(CURDIR)/target/screenshots cargo test --test end_to_end web::page::every_screen
	for name in overview task inbox; do cp target/screenshots/web-$$name-desk-light.png docs/images/web-$$name.png; done
	cp target/screenshots/web-inbox-phone-dark.png docs/images/web-phone.png

# Real agent programs (some hundred MB from npm) against a stand-in model: the set that CI runs, and all of them.
agents:
	cargo test --test end_to_end agents::

agents-all:
	KIROSU_TEST_AGENTS="gemini qwen copilot" cargo test --test end_to_end agents::

# Installs binary, units, account, folders, settings, completions. Packagers set DESTDIR and PREFIX=/usr. Run `make build` first,
# so that nothing is compiled as root. Existing settings are kept.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
BINARY ?= target/dist/kirosu
bindir = $(PREFIX)/bin
unitdir = $(PREFIX)/lib/systemd/system
sharedir = $(PREFIX)/share
units = kirosu.service kirosu-hub.service kirosu-agent@.service

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
