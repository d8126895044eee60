#include "agent/entry.h"

#include <boost/json.hpp>
#include <utility>

namespace payonce::agent {
namespace json = boost::json;
namespace {

constexpr size_t kMarkDigits = 16;
constexpr size_t kIdDigits = 32;

json::object rest_of(const Entry& entry) {
  json::array parts, observed;
  for (const PartMark& part : entry.parts) parts.push_back({part.name, part.digest});
  for (const Observed& seen : entry.observed)
    observed.push_back({type_name(seen.dependency.type), seen.dependency.name, seen.state});
  return {{"format", 1},
          {"credential", entry.credential},
          {"scope_names", entry.scope_names},
          {"tools_tag", entry.tools_tag},
          {"run", entry.run},
          {"nonce", entry.nonce},
          {"intent", entry.intent},
          {"names", entry.names},
          {"parts", std::move(parts)},
          {"observed", std::move(observed)},
          {"input_tokens", entry.input_tokens},
          {"output_tokens", entry.output_tokens}};
}

size_t end_of_value(std::string_view body) {
  const size_t end = body.rfind('\n');
  return end == std::string_view::npos ? body.size() : end;
}

std::string text_at(const json::array& array, size_t index) { return std::string(array.at(index).as_string()); }

}  // namespace

std::vector<PartMark> marks_of(const std::vector<Part>& parts) {
  std::vector<PartMark> out;
  for (const Part& part : parts) out.push_back({part.name, base::hex(part.digest).substr(0, kMarkDigits)});
  return out;
}

std::string Entry::id() const { return "e-" + base::hex(base::sha256(key + '\n' + nonce)).substr(0, kIdDigits); }

size_t weight_of(const std::vector<Observed>& all) {
  size_t out = 0;
  for (const Observed& seen : all)
    out += 160 + seen.dependency.name.size() + seen.dependency.value.size() + seen.state.size();
  return out;
}

size_t Entry::weight() const {
  size_t out = sizeof(Entry) + 512 + key.size() + run.size() + 2 * intent.size() + weight_of(observed);
  for (const PartMark& part : parts) out += 128 + part.name.size();
  return out;
}

cache::EntryPtr stored_form(const Entry& entry, std::string_view value) {
  auto out = std::make_shared<cache::Entry>();
  out->key = entry.key;
  out->scope = entry.scope;
  out->versions = entry.versions;
  out->model = kind_name(entry.kind);
  out->content_type = "application/json";
  std::string body(value);
  (body += '\n') += json::serialize(rest_of(entry));
  out->body = base::Bytes(std::move(body));
  out->usage.fresh = entry.input_tokens;
  out->usage.output = entry.output_tokens;
  out->cost_usd = entry.cost_usd;
  out->created_ms = entry.created_ms;
  out->expires_ms = entry.expires_ms;
  return out;
}

base::Result<Entry> read_entry(const cache::Entry& stored) {
  const auto corrupt = [&](std::string_view what) {
    return base::fail(base::Code::kCorrupt, "agent entry " + stored.key + ": " + std::string(what));
  };
  const std::string_view body = stored.body.view();
  const auto kind = kind_of(std::string_view(stored.key).substr(0, stored.key.find(':')));
  if (!kind) return corrupt("unknown kind");
  const size_t end = end_of_value(body);
  boost::system::error_code error;
  const json::value rest = json::parse(body.substr(std::min(body.size(), end + 1)), error);
  if (error || !rest.is_object()) return corrupt("its end is no JSON object");
  try {
    const json::object& o = rest.as_object();
    if (o.at("format").as_int64() != 1) return corrupt("of another format");
    Entry out{.kind = *kind,
              .key = stored.key,
              .credential = std::string(o.at("credential").as_string()),
              .scope = stored.scope,
              .scope_names = std::string(o.at("scope_names").as_string()),
              .versions = stored.versions,
              .tools_tag = std::string(o.at("tools_tag").as_string()),
              .run = std::string(o.at("run").as_string()),
              .nonce = std::string(o.at("nonce").as_string()),
              .intent = std::string(o.at("intent").as_string()),
              .names = std::string(o.at("names").as_string()),
              .parts = {},
              .observed = {},
              .input_tokens = o.at("input_tokens").as_int64(),
              .output_tokens = o.at("output_tokens").as_int64(),
              .cost_usd = stored.cost_usd,
              .created_ms = stored.created_ms,
              .expires_ms = stored.expires_ms,
              .value_bytes = end};
    for (const json::value& part : o.at("parts").as_array())
      out.parts.push_back({text_at(part.as_array(), 0), text_at(part.as_array(), 1)});
    for (const json::value& seen : o.at("observed").as_array()) {
      const auto type = type_of(text_at(seen.as_array(), 0));
      if (!type) return corrupt("unknown dependency");
      out.observed.push_back({{*type, text_at(seen.as_array(), 1), ""}, text_at(seen.as_array(), 2)});
    }
    return out;
  } catch (const std::exception& wrong) {
    return corrupt(wrong.what());
  }
}

base::Bytes value_of(const cache::Entry& stored) { return stored.body.slice(0, end_of_value(stored.body.view())); }

}  // namespace payonce::agent
