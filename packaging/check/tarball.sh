#!/usr/bin/env bash
# tarball.sh TARBALL MODEL.gguf: unpacked as a user without rights in a system that has nothing but the C and C++
# runtime: engine, embedder, gateway, and everything at once; the C client compiled against what it brings.
# shellcheck source=packaging/check/root.sh
source "$(dirname "$0")/root.sh"
[[ $# == 2 && -f $1 && -f $2 ]] || die "usage: tarball.sh TARBALL MODEL.gguf"
isolate "$@"
new_root
rm -rf "$root/etc/ssl/certs"

mkdir -p "$root/opt/payonce" "$root/models" "$root/home/user"
tar -xzf "$1" -C "$root/opt/payonce" --strip-components=1
cp "$2" "$root/models/model.gguf"
chown 1000:1000 "$root/home/user"
program=(setpriv --reuid=1000 --regid=1000 --clear-groups env -u SSL_CERT_FILE -u SSL_CERT_DIR HOME=/home/user
  /opt/payonce/bin/payonce)

enter "${program[@]}" --version >&2
missing=$(enter ldd /opt/payonce/bin/payonce | grep 'not found' || true)
[[ -z $missing ]] || die "$missing"
outside=$(enter ldd /opt/payonce/bin/payonce | awk '$3 ~ /^\// && $3 !~ /^\/opt\// {print $1}' |
  grep -vE '^lib(c|m|stdc\+\+|gcc_s|pthread|resolv|dl|rt)\.so' || true)
[[ -z $outside ]] || die "taken from the system: $outside"

start engine "${program[@]}" engine --model /models/model.gguf --listen 127.0.0.1:0 --kv-memory 64MiB
engine=$url
answer=$(curl -sf "$engine/v1/completions" -d '{"prompt":"The capital of France is","max_tokens":4,"temperature":0}')
[[ $answer == *Paris* ]] || die "expected Paris in the answer, found: $answer"
# By the embedder that it brings.
answer=$(curl -sf "$engine/v1/embeddings" -d '{"input":"What is a cache?","dimensions":2}')
[[ $answer == *'"model":"all-MiniLM-L6-v2"'* ]] || die "expected a vector of all-MiniLM-L6-v2, found: $answer"
start serve "${program[@]}" serve --upstream "$engine/v1" --listen 127.0.0.1:0
ask "$url" "What is a cache?" "fwd=miss"
ask "$url" "What is a cache?" "hit"
stop serve

# An upstream with TLS, whose authority is one that this system trusts, at a place that OpenSSL was not built for.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=payonce-check \
  -addext subjectAltName=IP:127.0.0.1 -keyout "$root/key.pem" -out "$root/cert.pem" 2>/dev/null
chmod 644 "$root/key.pem"
[[ ! -e $root/usr/lib/ssl ]] || die "this root has /usr/lib/ssl; the check would show nothing"
mkdir -p "$root/etc/pki/tls/certs"
cp "$root/cert.pem" "$root/etc/pki/tls/certs/ca-bundle.crt"
start tls "${program[@]}" serve --upstream "$engine/v1" --listen 127.0.0.1:0 --data /home/user/tls \
  --tls-certificate /cert.pem --tls-key /key.pem
start serve "${program[@]}" serve --upstream "$url/v1" --listen 127.0.0.1:0 --data /home/user/plain
ask "$url" "What is a certificate?" "fwd=miss"
ask "$url" "What is a certificate?" "hit"
stop serve
stop tls
stop engine
start up "${program[@]}" up --model /models/model.gguf --listen 127.0.0.1:0 --kv-memory 64MiB
ask "$url" "What is a tarball?" "fwd=miss"
ask "$url" "What is a tarball?" "hit"
stop up
grep -q '"specVersion": "1.6"' "$root/opt/payonce/share/doc/payonce/payonce.cdx.json" || die "no bill of materials"
say "$(basename "$1"): runs in a bare $suite, as a user without rights"
