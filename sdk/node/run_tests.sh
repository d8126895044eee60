#!/bin/sh
# Installs what the tests need, as package-lock.json pins it, and runs them against the program of PAYONCE_BINARY.
set -eu
cd "$(dirname "$0")"
if ! cmp -s package-lock.json node_modules/.installed.json; then
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed.json
fi
npm run --silent check
npm run --silent lint
exec npm test --silent
