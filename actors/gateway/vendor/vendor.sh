#!/usr/bin/env bash
# Makes preact.js from the packages preact and htm of the npm registry: the parts that the page uses, as one module. Run it by hand
# for a new version; nothing else of the page is built.
set -euo pipefail
cd "$(dirname "$0")/../page"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
npm install --silent --prefix "$work" preact@11.2.0 htm@3.1.1 esbuild@0.28.2
printf '%s\n' "export { h, render } from 'preact';" "export { default as htm } from 'htm';" > "$work/entry.js"
{
  head -1 preact.js
  "$work/node_modules/.bin/esbuild" "$work/entry.js" --bundle --format=esm --minify --target=es2022
} > "$work/preact.js"
cp "$work/preact.js" preact.js
cp "$work/node_modules/preact/LICENSE" ../vendor/preact.LICENSE
cp "$work/node_modules/htm/LICENSE" ../vendor/htm.LICENSE
