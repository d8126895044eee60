#!/bin/sh
# Installs what the tests need, as package-lock.json pins it, and runs them against the program of PAYONCE_BINARY.
# With --agents those in the real OpenCode, too, which take some minutes.
set -eu
cd "$(dirname "$0")"
if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' 2>/dev/null; then
  echo "sdk/node: no Node.js 20 or newer here, which these tests need" >&2
  exit 77
fi
folders=.
if [ "${1:-}" = --agents ]; then folders=". test/programs"; else export PAYONCE_SKIP_AGENTS=1; fi
for folder in $folders; do
  if ! cmp -s $folder/package-lock.json $folder/node_modules/.installed.json; then
    npm ci --prefix $folder --no-audit --no-fund --loglevel=error
    cp $folder/package-lock.json $folder/node_modules/.installed.json
  fi
done
npm run --silent check
npm run --silent lint
exec npm test --silent
