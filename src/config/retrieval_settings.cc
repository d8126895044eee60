#include "config/retrieval_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "config/upstream_settings.h"

namespace payonce::config {
namespace {

constexpr Key kStoreKeys[] = {
    {"kind", "a word", "",
     "required; what the store speaks: qdrant, chroma, postgres (pgvector), or http (any other)"},
    {"url", "a URL", "", "required; its base URL; of postgres a connection string without a password"},
    {"prefix", "a text", "\"/retrieval/NAME\"", "where it is on this gateway: clients add it to the base URL"},
    {"key_env", "a text", "",
     "name of the variable that holds its key (of postgres: its password); sent instead of the caller's credential"},
    {"key_file", "a text", "", "file that holds its key; read when key_env names no variable that is set"},
    {"ttl", "a duration", "retrieval.ttl", "how long its lists may be given again"},
    {"invalidate", "a word", "\"store\", of chroma \"collection\"",
     "what a write makes void: the lists of its collection, or of the whole store, which is safe with aliases too"},
    {"settle", "a duration", "1s, of chroma 0s",
     "after a write: how long lists are not kept, for stores that apply a write after they have answered it"},
    {"read", "a list", "none", "of http: what queries, such as \"POST /v1/graphql\"; '*' stands for any characters"},
    {"write", "a list", "none",
     "of http: what writes, beside PUT, PATCH and DELETE; without it, every POST that is not in read"},
    {"query_path", "a text", "",
     "of http: where the query's vector or text is, such as \"query.knn.embedding.vector\""},
    {"vector_column", "a text", "\"embedding\"", "of postgres: the column that is searched"},
    {"distance", "a word", "\"cosine\"", "of postgres: cosine, l2 or ip"},
    {"connections", "a number", "4", "of postgres: connections, and so queries at a time"},
    {"connect_timeout", "a duration", "10s", "to connect, with TLS"},
    {"first_byte_timeout", "a duration", "10m", "from the sent request to the answer's first byte"},
    {"idle_timeout", "a duration", "5m", "between two parts of an answer"},
    {"http2", "true or false", "false", "on http://: HTTP/2 without TLS, by prior knowledge"},
    {"verify_tls", "true or false", "true", "whether its certificate must be valid"},
    {"ca_file", "a text", "the system's", "PEM certificates that are trusted for it"},
};

constexpr std::array<std::pair<std::string_view, VectorStoreKind>, 4> kKinds{
    {{"qdrant", VectorStoreKind::kQdrant},
     {"chroma", VectorStoreKind::kChroma},
     {"http", VectorStoreKind::kHttp},
     {"postgres", VectorStoreKind::kPostgres}}};
constexpr std::array<std::string_view, 6> kTakenPaths = {"/healthz", "/readyz", "/metrics", "/payonce", "/v1", "/"};

bool read_kind(const TableReader& reader, VectorStoreSettings& out) {
  const auto text = reader.text("kind");
  const auto found =
      std::ranges::find(kKinds, text.value_or(""), &std::pair<std::string_view, VectorStoreKind>::first);
  if (found == kKinds.end()) {
    if (!reader.has("kind"))
      reader.missing("kind", "\"qdrant\"");
    else if (text)
      reader.wrong("kind", fmt::format("expected qdrant, chroma, http or postgres, found \"{}\"", *text));
    return false;
  }
  out.kind = found->second;
  return true;
}

void read_address(const TableReader& reader, const VectorStoreSettings& store, route::Upstream& out) {
  const auto text = reader.text("url");
  if (!text) {
    if (!reader.has("url")) reader.missing("url", "\"http://127.0.0.1:6333\"");
    return;
  }
  if (store.kind == VectorStoreKind::kPostgres) {
    if (text->find("password") != std::string::npos)
      return reader.wrong("url", "a connection string must not hold a password; use key_env or key_file");
    out.base_url = out.anthropic_base_url = out.identity = *text;
    return;
  }
  const auto url = checked_url(*text);
  if (!url) return reader.wrong("url", url.error().message);
  out.base_url = out.anthropic_base_url = out.identity = *url;
}

void read_prefix(const TableReader& reader, VectorStoreSettings& out) {
  out.prefix = reader.text("prefix").value_or("/retrieval/" + out.name);
  while (out.prefix.size() > 1 && out.prefix.ends_with('/')) out.prefix.pop_back();
  const bool taken = std::ranges::any_of(kTakenPaths, [&](std::string_view path) {
    return out.prefix == path || (path.size() > 1 && out.prefix.starts_with(fmt::format("{}/", path)));
  });
  const bool printable =
      std::ranges::all_of(out.prefix, [](char c) { return base::is_graphic(c) && c != '?' && c != '#' && c != '%'; });
  if (!out.prefix.starts_with('/') || taken || !printable)
    reader.wrong(reader.has("prefix") ? "prefix" : "kind",
                 fmt::format("expected a path of its own such as \"/retrieval/docs\", found \"{}\"", out.prefix));
}

std::vector<std::string> patterns(const TableReader& reader, std::string_view key) {
  auto out = reader.texts(key).value_or(std::vector<std::string>());
  for (const std::string& one : out)
    if (one.find(" /") == std::string::npos)
      reader.wrong(key, fmt::format("expected a method and a path such as \"POST /v1/graphql\", found \"{}\"", one));
  return out;
}

void read_http(const TableReader& reader, VectorStoreSettings& out) {
  out.read = patterns(reader, "read");
  out.write = patterns(reader, "write");
  std::string_view rest;
  const std::string path = reader.text("query_path").value_or("");
  for (rest = path; !rest.empty();) {
    const size_t dot = rest.find('.');
    out.query_path.emplace_back(rest.substr(0, dot));
    rest.remove_prefix(dot == std::string_view::npos ? rest.size() : dot + 1);
  }
  if (out.kind != VectorStoreKind::kHttp) {
    for (const std::string_view key : {"read", "write", "query_path"})
      if (reader.has(key)) reader.wrong(key, "only kind = \"http\" takes it");
  } else if (out.read.empty() && !reader.has("read")) {
    reader.missing("read", "[\"POST /v1/graphql\"]");
  }
}

void read_postgres(const TableReader& reader, VectorStoreSettings& out) {
  out.vector_column = reader.text("vector_column").value_or(out.vector_column);
  out.distance = reader.text("distance").value_or(out.distance);
  if (out.distance != "cosine" && out.distance != "l2" && out.distance != "ip")
    reader.wrong("distance", fmt::format("expected cosine, l2 or ip, found \"{}\"", out.distance));
  const double connections = reader.number("connections").value_or(static_cast<double>(out.connections));
  if (connections < 1 || connections > 256) reader.wrong("connections", "expected a number from 1 to 256");
  out.connections = static_cast<int64_t>(connections);
}

void read_rules(const TableReader& reader, VectorStoreSettings& out) {
  const bool chroma = out.kind == VectorStoreKind::kChroma;
  const std::string invalidate = reader.text("invalidate").value_or(chroma ? "collection" : "store");
  if (invalidate != "collection" && invalidate != "store")
    reader.wrong("invalidate", fmt::format("expected collection or store, found \"{}\"", invalidate));
  out.one_epoch = invalidate == "store" || out.kind == VectorStoreKind::kHttp;  // of http no collection is known
  out.settle_ms = reader.duration_ms("settle", true).value_or(chroma ? 0 : 1000);
  out.ttl_s = reader.duration_ms("ttl").value_or(0) / 1000;
  if (reader.has("ttl") && out.ttl_s == 0) reader.wrong("ttl", "expected at least 1s");
}

}  // namespace

std::span<const Key> vector_store_keys() { return kStoreKeys; }

std::vector<VectorStoreSettings> read_vector_stores(const toml::table& root, const std::string& file,
                                                    const GetEnv& env, base::Env& files, Problems& problems) {
  std::vector<VectorStoreSettings> out;
  for (const NamedTable& named : named_tables(root, "retrieval", file, problems, true)) {
    const TableReader reader(*named.table, "retrieval." + named.name, file, kStoreKeys, problems);
    VectorStoreSettings store{.name = named.name};
    if (!read_kind(reader, store)) continue;
    auto upstream = std::make_shared<route::Upstream>();
    upstream->name = named.name;
    read_address(reader, store, *upstream);
    read_upstream_key(reader, named.name, env, files, *upstream, problems);
    read_connection(reader, files, *upstream);
    store.upstream = std::move(upstream);
    read_prefix(reader, store);
    read_http(reader, store);
    read_postgres(reader, store);
    read_rules(reader, store);
    const auto same = std::ranges::find(out, store.prefix, &VectorStoreSettings::prefix);
    if (same != out.end()) reader.wrong("prefix", fmt::format("store '{}' has the same one", same->name));
    out.push_back(std::move(store));
  }
  return out;
}

}  // namespace payonce::config
