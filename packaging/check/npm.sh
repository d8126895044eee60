#!/usr/bin/env bash
# npm.sh PAYONCE.tgz PLATFORM.tgz MODEL.gguf: npm install into an empty folder of a bare system; wrap() around
# OpenAI's own client starts the program that the platform's package carries.
# shellcheck source=packaging/check/root.sh
source "$(dirname "$0")/root.sh"
[[ $# == 3 && -f $1 && -f $2 && -f $3 ]] || die "usage: npm.sh PAYONCE.tgz PLATFORM.tgz MODEL.gguf"
isolate "$@"
new_root
# Node is the builder's own, as one file and npm: Debian 12's is too old.
node_version=$(node -p process.versions.node 2>/dev/null || true)
((${node_version%%.*} >= 20)) 2>/dev/null || not_tried "needs Node 20 or newer"
cp "$(node -p process.execPath)" "$root/usr/local/bin/node"
mkdir -p "$root/usr/local/lib/node_modules"
cp -r "$(dirname "$(dirname "$(realpath "$(command -v npm)")")")" "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
enter npm --version >/dev/null 2>&1 || not_tried "the builder's Node does not run in a bare $suite"
mkdir "$root/project"
cp "$1" "$root/project/payonce.tgz"
cp "$2" "$root/project/platform.tgz"
cp "$3" "$root/model.gguf"
echo '{"type":"module","private":true}' >"$root/project/package.json"
npm_in_project() { enter sh -c "cd /project && $*"; }
npm_in_project npm install --no-audit --no-fund --no-update-notifier --loglevel=error \
  ./payonce.tgz ./platform.tgz openai || die "npm install"
npm_in_project npx payonce --version >&2
start engine /project/node_modules/.bin/payonce engine --model /model.gguf --listen 127.0.0.1:0 --kv-memory 64MiB
cat >"$root/project/two_lines.js" <<'JS'
import OpenAI from "openai";
import { wrap } from "payonce";

const client = wrap(new OpenAI({ baseURL: process.argv[2], apiKey: "sk-1" }));
for (let n = 0; n < 2; n++) {
  const request = { model: "default", max_tokens: 8, messages: [{ role: "user", content: "What is a package?" }] };
  const { response } = await client.chat.completions.create(request).withResponse();
  console.log(response.headers.get("cache-status"));
}
JS
npm_in_project "timeout 120 node two_lines.js $url/v1" >"$root/said" || die "two_lines.js"
mapfile -t said <"$root/said"
[[ ${said[0]} == *fwd=miss* && ${said[1]} == *hit* ]] || die "expected a miss and a hit, found: ${said[*]}"
stop engine
say "$(basename "$1"), $(basename "$2"): wrap() starts the carried program in a bare $suite: ${said[1]}"
