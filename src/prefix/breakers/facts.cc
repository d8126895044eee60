#include "prefix/breakers/facts.h"

#include <array>
#include <charconv>
#include <utility>

namespace payonce::prefix {
namespace {

// Longest names first: the first that the model's name contains decides.
constexpr std::array<std::pair<std::string_view, uint32_t>, 14> kAnthropicMinimum = {{{"opus-4-8", 1024},
                                                                                      {"opus-4-7", 2048},
                                                                                      {"opus-4-6", 4096},
                                                                                      {"opus-4-5", 4096},
                                                                                      {"haiku-4-5", 4096},
                                                                                      {"3-5-haiku", 2048},
                                                                                      {"haiku-3-5", 2048},
                                                                                      {"mythos-preview", 2048},
                                                                                      {"sonnet-5-5", 512},
                                                                                      {"haiku-5-5", 512},
                                                                                      {"opus-5", 512},
                                                                                      {"fable-5", 512},
                                                                                      {"mythos-5", 512},
                                                                                      {"sonnet", 1024}}};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

ProviderFacts anthropic(std::string_view model) {
  ProviderFacts out;
  for (const auto& [name, tokens] : kAnthropicMinimum)
    if (contains(model, name)) {
      out.minimum_tokens = tokens;
      break;
    }
  out.look_back = 20;
  out.short_write_factor = 1.25;
  out.long_write_factor = 2.0;
  if (contains(model, "opus-5-5") || contains(model, "sonnet-5-5")) out.read_factor = 0.05;
  if (contains(model, "fable-5-1") || contains(model, "mythos-5-1")) out.read_factor = 0.025;
  out.needs_markers = true;
  return out;
}

// "gpt-5.6-sol" → 506, "gpt-6" → 600, "gpt-4o" → 400; 0 if it is none of them.
int gpt_version(std::string_view model) {
  const size_t at = model.find("gpt-");
  if (at == std::string_view::npos) return 0;
  model.remove_prefix(at + 4);
  int major = 0, minor = 0;
  const auto [end, error] = std::from_chars(model.data(), model.data() + model.size(), major);
  if (error != std::errc() || major > 99) return 0;
  model.remove_prefix(static_cast<size_t>(end - model.data()));
  if (model.starts_with('.')) {
    model.remove_prefix(1);
    if (std::from_chars(model.data(), model.data() + model.size(), minor).ec != std::errc() || minor > 99) minor = 0;
  }
  return major * 100 + minor;
}

ProviderFacts open_ai(std::string_view model) {
  ProviderFacts out;
  const int version = gpt_version(model);
  const bool reasoning = model.starts_with("o1") || model.starts_with("o3") || model.starts_with("o4");
  if (version >= 506) {
    out.short_ttl_s = out.long_ttl_s = 1800;
    out.short_write_factor = out.long_write_factor = 1.25;
    if (version >= 601) out.read_factor = 0.05;
    out.parameters_break_tools = true;
    out.requests_per_minute = 15;
  } else if (version > 0 || reasoning) {
    out.short_ttl_s = out.long_ttl_s = version >= 500 ? 3600 : 600;
    out.read_factor = version >= 500 ? 0.1 : contains(model, "4o") || model.starts_with("o1") ? 0.5 : 0.25;
    out.requests_per_minute = 15;
  } else {
    out.short_ttl_s = out.long_ttl_s = 3600;
  }
  return out;
}

}  // namespace

ProviderFacts default_facts(llm::Dialect dialect, std::string_view model) {
  if (llm::is_anthropic(dialect) || contains(model, "claude")) return anthropic(model);
  return open_ai(model);
}

}  // namespace payonce::prefix
