#include "payonce/make_embedder.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/log.h"
#include "embed/find_embedder.h"
#include "embed/local_embedder.h"
#include "embed/remote_embedder.h"

namespace payonce {
namespace {

template <typename Made>
base::Result<std::unique_ptr<embed::Embedder>> named(Made made) {
  if (!made) return base::fail(made.error().code, fmt::format("semantic.embedder: {}", made.error().message));
  return *std::move(made);
}

}  // namespace

base::Result<std::unique_ptr<embed::Embedder>> make_embedder(const config::Settings& settings,
                                                             base::Metrics& metrics) {
  const config::EmbedderSettings& wanted = settings.embedder;
  if (wanted.source == "none") return nullptr;
  if (wanted.source.starts_with("http://") || wanted.source.starts_with("https://")) {
    return named(embed::RemoteEmbedder::make({.url = wanted.source,
                                              .model = wanted.model,
                                              .key = wanted.key,
                                              .dimensions = wanted.dimensions,
                                              .queue_limit = static_cast<size_t>(wanted.max_queue),
                                              .metrics = &metrics}));
  }
  const std::string file = wanted.source.empty() ? embed::find_embedder() : wanted.source;
  if (file.empty()) {
    base::log_info("no embedder: {} was not found; ./dev run makes it", embed::kDefaultEmbedder);
    return nullptr;
  }
  auto made = named(embed::LocalEmbedder::make({.file = file,
                                                .threads = wanted.threads,
                                                .queue_limit = static_cast<size_t>(wanted.max_queue),
                                                .dimensions = wanted.dimensions,
                                                .metrics = &metrics}));
  if (made || !wanted.source.empty()) return made;
  base::log_warn("no embedder: {}", made.error().message);
  return nullptr;
}

}  // namespace payonce
