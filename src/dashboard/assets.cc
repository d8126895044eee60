#include "dashboard/assets.h"

#include <fmt/format.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "net/field_list.h"

namespace payonce::dashboard {

std::span<const std::pair<std::string_view, std::string_view>> web_files();  // generated from web/

namespace {

constexpr std::string_view kFolder = "/dashboard/";

// Scripts and styles from here alone, nothing inline, no frames around it; data: for the icon.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri "
    "'none'; form-action 'self'; frame-ancestors 'none'";

struct Asset {
  std::string_view name, text, type;
  std::string etag;
};

std::string_view type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return "text/javascript; charset=utf-8";
}

const Asset* find(std::string_view path) {
  static const std::vector<Asset> kAssets = [] {
    std::vector<Asset> made;
    for (const auto& [name, text] : web_files())
      made.push_back({name, text, type_of(name), fmt::format("\"{}\"", base::hex(base::sha256(text)).substr(0, 32))});
    return made;
  }();
  const std::string_view name = path == "/" ? "index.html" : path.substr(kFolder.size());
  for (const Asset& asset : kAssets)
    if (asset.name == name) return &asset;
  return nullptr;
}

bool has_it(const net::Headers& headers, std::string_view etag) {
  return net::any_item(headers.joined("if-none-match"), [&](std::string_view tag) {
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    return tag == etag || tag == "*";
  });
}

}  // namespace

bool is_asset_path(std::string_view path) { return path == "/" || path.starts_with(kFolder); }

void serve_asset(net::Exchange& exchange, std::string_view path) {
  const Asset* asset = find(path);
  net::ResponseHead head;
  head.headers.add("X-Content-Type-Options", "nosniff");
  head.headers.add("Content-Security-Policy", kPolicy);
  head.headers.add("Referrer-Policy", "no-referrer");
  head.headers.add("Cross-Origin-Opener-Policy", "same-origin");
  head.headers.add("Cross-Origin-Resource-Policy", "same-origin");
  if (asset == nullptr) {
    head.status = 404;
    head.headers.add("Content-Type", "text/plain; charset=utf-8");
    return exchange.respond(std::move(head), base::Bytes::unowned("no such file of the dashboard\n"));
  }
  // Names do not change with their content, so each use asks again, and mostly hears 304.
  head.headers.add("Cache-Control", "no-cache");
  head.headers.add("ETag", asset->etag);
  if (has_it(exchange.head().headers, asset->etag)) {
    head.status = 304;
    return exchange.respond(std::move(head), {});
  }
  head.headers.add("Content-Type", asset->type);
  exchange.respond(std::move(head), base::Bytes::unowned(asset->text));
}

}  // namespace payonce::dashboard
