#include "pipeline/identify.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "base/utf8.h"
#include "identity/canonical.h"
#include "llm/question.h"
#include "llm/request.h"
#include "net/field_list.h"
#include "pipeline/compaction_key.h"

namespace payonce::pipeline {
namespace {

// Header fields that can change who may see the answer, or the answer itself. All others (request ids, trace context,
// retry counters) are transport.
constexpr std::array<std::string_view, 16> kScopeHeaders = {
    "authorization",   "x-api-key",           "api-key",        "x-goog-api-key",
    "x-payonce-scope", "x-payonce-version",   "user-agent",     "x-app",
    "x-title",         "originator",          "anthropic-beta", "anthropic-version",
    "openai-beta",     "openai-organization", "openai-project", "x-goog-user-project"};
// Of those, the ones that select a behaviour of the upstream: part of the stored key.
constexpr std::array<std::string_view, 6> kUpstreamHeaders = {"anthropic-beta", "anthropic-version",
                                                              "openai-beta",    "openai-organization",
                                                              "openai-project", "x-goog-user-project"};

bool is_scope_header(std::string_view name) {
  for (const std::string_view known : kScopeHeaders)
    if (known.size() == name.size() && net::equals_ignoring_case(known, name)) return true;
  return false;
}

// What a shared scope's answers cannot depend on: transport, and what the known agents and SDKs say of themselves.
constexpr std::array<std::string_view, 33> kTransportHeaders = {"accept",
                                                                "accept-charset",
                                                                "accept-encoding",
                                                                "accept-language",
                                                                "baggage",
                                                                "cache-control",
                                                                "content-length",
                                                                "conversation-id",
                                                                "conversation_id",
                                                                "cookie",
                                                                "date",
                                                                "dnt",
                                                                "forwarded",
                                                                "http-referer",
                                                                "origin",
                                                                "pragma",
                                                                "priority",
                                                                "referer",
                                                                "session-id",
                                                                "session_id",
                                                                "thread-id",
                                                                "thread_id",
                                                                "traceparent",
                                                                "tracestate",
                                                                "via",
                                                                "x-amzn-trace-id",
                                                                "x-b3-traceid",
                                                                "x-client-request-id",
                                                                "x-cloud-trace-context",
                                                                "x-correlation-id",
                                                                "x-goog-api-client",
                                                                "x-real-ip",
                                                                "x-request-id"};
constexpr std::array<std::string_view, 8> kTransportFamilies = {
    "x-payonce-", "x-stainless-", "x-forwarded-", "sec-", "cf-", "x-opencode-", "x-codex-", "x-claude-code-"};

bool is_plain_json(std::string_view type) {
  const std::string_view rest = net::trim(type.substr(std::min(type.find(';'), type.size())));
  return net::equals_ignoring_case(net::trim(type.substr(0, type.find(';'))), "application/json") &&
         (rest.empty() || net::equals_ignoring_case(rest, "; charset=utf-8") ||
          net::equals_ignoring_case(rest, ";charset=utf-8"));
}

// Of callers that share a scope, one could send a field of which we know nothing, but the upstream does (a prompt, a
// route, a key of an earlier answer), and leave what comes of it to the others. So there each such field counts.
bool counts_where_shared(std::string_view name, std::string_view value) {
  if (is_scope_header(name) || identity::may_be_credential(name)) return false;  // is in the key, or is the scope
  if (net::equals_ignoring_case(name, "content-type")) return !is_plain_json(value);
  for (const std::string_view known : kTransportHeaders)
    if (net::equals_ignoring_case(known, name)) return false;
  return std::ranges::none_of(kTransportFamilies, [&](std::string_view family) {
    return name.size() > family.size() && net::equals_ignoring_case(name.substr(0, family.size()), family);
  });
}

// In the order in which they came: it may matter to the upstream.
std::string shared_headers(const net::Headers& headers) {
  std::string out;
  headers.for_each([&](std::string_view name, std::string_view value) {
    if (!counts_where_shared(name, value)) return;
    for (const char c : name) out += base::lower(c);
    out.append("=").append(value).append("\n");
  });
  return out;
}

constexpr size_t kNameBytes = 200;

// A model's name as books, lists and pages have it: the caller chose it.
std::string shown_name(std::string_view name) {
  std::string out(base::beginning(name, kNameBytes));
  std::ranges::replace_if(out, base::is_control, '?');
  return out;
}

std::string upstream_headers(const net::Headers& headers) {
  std::string out;
  for (const std::string_view name : kUpstreamHeaders) {
    if (headers.count(name) == 0) continue;
    out += name;
    out += '=';
    out += headers.joined(name);
    out += '\n';
  }
  return out;
}

bool is_sampled(const llm::Request& request) {
  if (request.dialect == llm::Dialect::kOpenAiEmbeddings || request.dialect == llm::Dialect::kAnthropicCountTokens)
    return false;
  return !request.temperature || *request.temperature > 0;
}

// Of the fields, all that the answer, or who may see it, can depend on.
std::string telling_fields(const Incoming& incoming, const Policy& policy) {
  const bool may_share = policy.callers.has_keys() && incoming.head.headers.get("x-payonce-scope").has_value();
  std::string fields;
  fields.reserve(256);
  incoming.head.headers.for_each([&](std::string_view name, std::string_view value) {
    const bool counts = is_scope_header(name) || identity::may_be_credential(name) ||
                        net::equals_ignoring_case(name, "cookie") || (may_share && counts_where_shared(name, value));
    if (counts) fields.append(name).append(":").append(value).append("\n");
  });
  return fields;
}

// A policy's number is never used twice in a process, so what was identified under old keys or routes is not found.
std::string_view generation_of(const Policy& policy) {
  return {reinterpret_cast<const char*>(&policy.generation), sizeof policy.generation};
}

// Remembered, and the largest: fields are as long as a caller likes.
constexpr size_t kSenders = 4096, kMaxSender_bytes = 1024;

}  // namespace

// What the fields say, whatever the body.
struct Identifier::Sender {
  identity::Caller caller;
  std::string versions, beta;
  const identity::Profile& profile;
};

Identifier::Identifier(identity::Profiles profiles, size_t raw_key_capacity)
    : profiles_(std::move(profiles)), raw_keys_(raw_key_capacity), senders_(kSenders) {}

base::Result<PreparedPtr> Identifier::identify(const Incoming& incoming, const Policy& policy) {
  const std::string fields = telling_fields(incoming, policy);
  const base::Hash128 raw = keyed_hash_.parts<5>({generation_of(policy), incoming.head.target, fields,
                                                  incoming.body.view(), llm::dialect_name(incoming.dialect)});
  if (PreparedPtr known = raw_keys_.find(raw)) return known;
  PAYONCE_TRY(PreparedPtr made, prepare(incoming, policy, fields));
  raw_keys_.insert(raw, made);
  return made;
}

base::Result<std::shared_ptr<const Identifier::Sender>> Identifier::sender(const net::Headers& headers,
                                                                           const Policy& policy,
                                                                           std::string_view fields) const {
  const base::Hash128 raw = keyed_hash_.parts<2>({generation_of(policy), fields});
  if (auto known = senders_.find(raw)) return known;
  PAYONCE_TRY(identity::Caller caller, policy.callers.identify(headers));
  PAYONCE_TRY(std::string versions, identity::versions_of(headers));
  std::string beta = upstream_headers(headers);
  if (caller.is_shared()) beta += shared_headers(headers);
  const auto made = std::make_shared<const Sender>(Sender{.caller = std::move(caller),
                                                          .versions = std::move(versions),
                                                          .beta = std::move(beta),
                                                          .profile = profiles_.match(headers)});
  if (made->versions.size() + made->beta.size() <= kMaxSender_bytes) senders_.insert(raw, made);
  return made;
}

// What both keys are made of.
struct Identifier::Read {
  std::shared_ptr<const Sender> sender;
  llm::Request request;
  std::vector<route::UpstreamPtr> candidates;
  // Of the configuration's first upstream, wherever this request will go: who lists several for one model says that
  // they answer alike, and a key that followed the routing would lose its entries with each failover.
  identity::KeyParts parts(const Incoming& incoming) const {
    return {.scope_id = sender->caller.scope_id,
            .target = incoming.head.target,
            .upstream = candidates.front()->identity,
            .versions = sender->versions,
            .beta = sender->beta};
  }
};

base::Result<Identifier::Read> Identifier::read(const Incoming& incoming, const Policy& policy,
                                                std::string_view fields) const {
  PAYONCE_TRY(auto sender, this->sender(incoming.head.headers, policy, fields));
  PAYONCE_TRY(llm::Request request, llm::parse_request(incoming.dialect, incoming.body, incoming.head.target));
  PAYONCE_TRY(auto candidates, policy.routes.choose(request.model, route::wire_of(incoming.dialect)));
  return Read{.sender = std::move(sender), .request = std::move(request), .candidates = std::move(candidates)};
}

std::optional<Identifier::Asked> Identifier::asked(const Incoming& incoming, const Policy& policy) const {
  const auto read = this->read(incoming, policy, telling_fields(incoming, policy));
  if (!read) return std::nullopt;
  auto question = llm::question_of(read->request);
  if (!question) return std::nullopt;
  const identity::CacheKey context = identity::context_key(read->request, profiles_, read->sender->profile,
                                                           read->parts(incoming), question->node, &part_digests_);
  return Asked{.context = context.text(), .question = std::move(question->text)};
}

base::Result<PreparedPtr> Identifier::prepare(const Incoming& incoming, const Policy& policy,
                                              std::string_view fields) const {
  PAYONCE_TRY(Read read, this->read(incoming, policy, fields));
  const llm::Request& request = read.request;
  const Sender& sender = *read.sender;
  const auto compaction =
      policy.prefix.compaction != route::CompactionMode::kOff ? compaction_form(request, keyed_hash_) : std::nullopt;
  const identity::CacheKey key =
      compaction
          ? identity::compaction_key(*compaction, profiles_, sender.profile, read.parts(incoming), &part_digests_)
          : identity::response_key(request, profiles_, sender.profile, read.parts(incoming), &part_digests_);
  auto prepared = std::make_shared<Prepared>();
  prepared->dialect = incoming.dialect;
  prepared->key = key.text();
  prepared->scope = sender.caller.scope_id;
  prepared->caller = sender.caller.name;
  prepared->versions = sender.versions;
  prepared->model = shown_name(request.model);
  prepared->stream = request.stream;
  prepared->include_usage = request.include_usage;
  prepared->sampled = is_sampled(request);
  prepared->candidates = std::move(read.candidates);
  return prepared;
}

}  // namespace payonce::pipeline
