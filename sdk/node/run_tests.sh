#!/bin/sh
# Installs what the tests need, as package-lock.json pins it, and runs them against the program of PAYONCE_BINARY.
set -eu
cd "$(dirname "$0")"
for folder in . test/programs; do
  if ! cmp -s $folder/package-lock.json $folder/node_modules/.installed.json; then
    npm ci --prefix $folder --no-audit --no-fund --loglevel=error
    cp $folder/package-lock.json $folder/node_modules/.installed.json
  fi
done
npm run --silent check
npm run --silent lint
exec npm test --silent
