#include "prefix/call_sites.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "prefix/saved_state.h"

namespace payonce::prefix {
namespace {

using base::Hash128;

constexpr double kSameSite = 0.6;     // Jaccard index of two sets of features
constexpr double kSurelySame = 0.85;  // no need to look for a better one
constexpr size_t kMaxFeatures = 1024, kMaxTexts = 16, kMaxTools = 1024;
constexpr size_t kMaxStyle_bytes = 64;
constexpr size_t kMaxSaved = 256;
constexpr double kRatioGain = 0.5;  // of the newest bill; they differ little at one site
// Beyond these a bill counts something else: images, an answer that another upstream gave, no tokens at all.
constexpr double kLeastRatio = 0.5, kMostRatio = 2.5;

std::string tool_name(const Prompt& prompt, uint32_t node) {
  const llm::Tape& tape = prompt.request->tape;
  const std::string_view text = prompt.request->body.view();
  uint32_t in = tape.find(text, node, "function");
  if (in == kNoNode || tape[in].type != llm::JsonType::kObject) in = node;
  for (const std::string_view member : {"name", "server_label", "type"})
    if (const uint32_t name = tape.find(text, in, member);
        name != kNoNode && tape[name].type == llm::JsonType::kString)
      return tape.decoded(text, name);
  return {};
}

std::vector<Hash128> tool_names(const Prompt& prompt, const base::KeyedHash& hash) {
  std::vector<Hash128> out;
  for (const Unit& unit : prompt.units)
    if (unit.section == Section::kTools) out.push_back(hash.parts<2>({"tool", tool_name(prompt, unit.node)}));
  return out;
}

double jaccard(const std::vector<Hash128>& a, const std::vector<Hash128>& b) {
  if (a.empty() && b.empty()) return 1;
  size_t common = 0;
  for (auto left = a.begin(), right = b.begin(); left != a.end() && right != b.end();) {
    if (*left == *right) {
      ++common;
      ++left;
      ++right;
    } else {
      ++(*left < *right ? left : right);
    }
  }
  return static_cast<double>(common) / static_cast<double>(a.size() + b.size() - common);
}

std::vector<Hash128> features_of(const std::vector<Hash128>& tools, const std::vector<SiteView::Text>& system) {
  std::vector<Hash128> out = tools;
  for (const SiteView::Text& text : system)
    for (const Segment& segment : text.of->segments)
      if (segment.size > 1) out.push_back(segment.slot);
  if (out.size() > kMaxFeatures) out.resize(kMaxFeatures);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

ListStyle style_of(const Prompt& prompt, uint32_t list) {
  if (list == kNoNode || prompt.request->tape[list].type != llm::JsonType::kArray) return {};
  const llm::Tape& tape = prompt.request->tape;
  const std::string_view body = prompt.request->body.view();
  if (tape[list].children == 0) return {};
  const auto end_of = [&](uint32_t node) { return tape[node].begin + tape[node].size; };
  const auto between = [&](uint32_t begin, uint32_t end) { return std::string(body.substr(begin, end - begin)); };
  uint32_t last = list + 1;
  for (uint32_t i = 1; i < tape[list].children; ++i) last = tape[last].next;
  ListStyle out{.open = between(tape[list].begin, tape[list + 1].begin),
                .close = between(end_of(last), end_of(list))};
  if (tape[list].children > 1) {
    const uint32_t first = list + 1;
    out.separator = between(end_of(first), tape[tape[first].next].begin);
  }
  const bool sane = out.open.size() + out.separator.size() + out.close.size() <= kMaxStyle_bytes;
  return sane ? out : ListStyle();
}

}  // namespace

size_t CallSites::Site::bytes() const {
  size_t out = sizeof *this + (features.size() + tools.size()) * sizeof(Hash128);
  for (const TextHistory& text : texts) out += text.bytes();
  return out;
}

std::vector<SiteView::Text> CallSites::system_texts(const Prompt& prompt, const base::KeyedHash& hash) {
  std::vector<SiteView::Text> out;
  const uint32_t end = prompt.first_of(Section::kMessages);
  for (uint32_t i = prompt.first_of(Section::kSystem); i < end; ++i) {
    const Block& block = prompt.blocks[i];
    if (block.text_node == kNoNode) continue;
    SiteView::Text text{.block = i};
    {
      const std::lock_guard lock(mutex_);
      if (const auto* known = texts_.find(block.value)) text.of = *known;
    }
    if (!text.of) {
      auto made = std::make_shared<SegmentedText>(SegmentedText{.text = prompt.text(block.text_node)});
      made->segments = segments_of(made->text, hash);
      const size_t weight = made->text.size() + made->segments.size() * sizeof(Segment);
      text.of = std::move(made);
      const std::lock_guard lock(mutex_);
      texts_.insert(block.value, text.of, weight);
    }
    out.push_back(std::move(text));
  }
  return out;
}

CallSites::Site& CallSites::site_of(const Hash128& account, const Hash128& front,
                                    const std::vector<Hash128>& features) {
  if (const Hash128* id = known_fronts_.find(front))
    if (Site* site = sites_.find(*id)) return *site;
  double best = 0;
  Hash128 best_id;
  sites_.for_each([&](const Hash128& id, const Site& site) {
    if (best >= kSurelySame || !(site.account == account)) return;
    const double likeness = jaccard(features, site.features);
    if (likeness > best) {
      best = likeness;
      best_id = id;
    }
  });
  if (best < kSameSite) {
    best_id = front;
    sites_.insert(front, {.id = front, .account = account}, least_bytes_);
  }
  known_fronts_.insert(front, best_id);
  return *sites_.find(best_id);
}

void CallSites::note_changes(Site& site, std::vector<SiteView::Text>& texts) {
  site.texts.resize(std::min(std::max(site.texts.size(), texts.size()), kMaxTexts));
  for (size_t i = 0; i < texts.size(); ++i)
    texts[i].verdict =
        i < kMaxTexts ? site.texts[i].take(texts[i].of->segments) : TextHistory().take(texts[i].of->segments);
}

SiteView CallSites::recognise(const Hash128& account, const Prompt& prompt, const base::KeyedHash& hash) {
  SiteView out;
  const std::vector<Hash128> tools = tool_names(prompt, hash);
  out.system = system_texts(prompt, hash);
  const std::vector<Hash128> features = features_of(tools, out.system);
  Hash128 front = hash.parts<2>({"site", base::bytes_of(account)});
  for (const Unit& unit : prompt.units)
    if (unit.section != Section::kMessages)
      front = hash.parts<2>({base::bytes_of(front), base::bytes_of(unit.value)});

  const std::lock_guard lock(mutex_);
  Site& site = site_of(account, front, features);
  site.features = features;
  out.id = site.id;
  out.requests = site.requests++;
  out.tokens_ratio = site.tokens_ratio;
  for (const Hash128& tool : tools)
    if (std::find(site.tools.begin(), site.tools.end(), tool) == site.tools.end() && site.tools.size() < kMaxTools)
      site.tools.push_back(tool);
  out.tool_order.resize(tools.size());
  std::iota(out.tool_order.begin(), out.tool_order.end(), 0u);
  std::vector<size_t> rank(tools.size());
  for (size_t i = 0; i < tools.size(); ++i)
    rank[i] = static_cast<size_t>(std::find(site.tools.begin(), site.tools.end(), tools[i]) - site.tools.begin());
  std::stable_sort(out.tool_order.begin(), out.tool_order.end(),
                   [&](uint32_t a, uint32_t b) { return rank[a] < rank[b]; });
  note_changes(site, out.system);
  for (const auto& [style, list] :
       {std::pair{&site.tools_style, prompt.tools_node}, std::pair{&site.messages_style, prompt.messages_node}}) {
    const ListStyle now = style_of(prompt, list);
    if (out.requests == 0) *style = now;
    if (style->separator.empty()) style->separator = now.separator;
  }
  out.tools_style = site.tools_style;
  out.messages_style = site.messages_style;
  sites_.weigh(site.id, weight(site));
  return out;
}

void CallSites::save(std::string& out) const {
  const std::lock_guard lock(mutex_);
  std::vector<const Site*> latest;
  sites_.for_each([&](const Hash128&, const Site& site) {
    if (latest.size() < kMaxSaved) latest.push_back(&site);
  });
  base::put_number(out, static_cast<uint32_t>(latest.size()));
  for (auto it = latest.rbegin(); it != latest.rend(); ++it) {  // the latest last: it is then the latest again
    const Site& site = **it;
    put_hash(out, site.id);
    put_hash(out, site.account);
    put_hashes(out, site.features);
    put_hashes(out, site.tools);
    for (const ListStyle* style : {&site.tools_style, &site.messages_style})
      for (const std::string* text : {&style->open, &style->separator, &style->close}) put_text(out, *text);
    base::put_number(out, site.requests);
    base::put_number(out, std::bit_cast<uint64_t>(site.tokens_ratio));
    base::put_number(out, static_cast<uint32_t>(site.texts.size()));
    for (const TextHistory& text : site.texts) text.save(out);
  }
}

bool CallSites::load(base::NumberReader& from) {
  const std::lock_guard lock(mutex_);
  for (auto left = from.number<uint32_t>(); left > 0 && from.ok(); --left) {
    Site site;
    site.id = take_hash(from);
    site.account = take_hash(from);
    site.features = take_hashes(from);
    site.tools = take_hashes(from);
    for (ListStyle* style : {&site.tools_style, &site.messages_style})
      for (std::string* text : {&style->open, &style->separator, &style->close}) *text = take_text(from);
    site.requests = from.number<uint64_t>();
    site.tokens_ratio = std::bit_cast<double>(from.number<uint64_t>());
    if (!(site.tokens_ratio >= kLeastRatio && site.tokens_ratio <= kMostRatio)) return false;
    const auto texts = from.number<uint32_t>();
    if (texts > kMaxTexts) return false;
    site.texts.resize(texts);
    for (TextHistory& text : site.texts) text.load(from);
    const Hash128 id = site.id;
    const size_t bytes = weight(site);
    if (from.ok()) sites_.insert(id, std::move(site), bytes);
  }
  return from.ok();
}

std::vector<CallSites::Summary> CallSites::summaries(size_t limit) const {
  std::vector<Summary> out;
  const std::lock_guard lock(mutex_);
  sites_.for_each([&](const Hash128& id, const Site& site) {
    if (out.size() >= limit) return;
    Summary summary{
        .id = id, .requests = site.requests, .tools = site.tools.size(), .tokens_ratio = site.tokens_ratio};
    for (const TextHistory& text : site.texts) summary.texts.push_back(text.census());
    out.push_back(std::move(summary));
  });
  return out;
}

void CallSites::billed(const Hash128& site, double estimated, double tokens) {
  if (estimated <= 0 || tokens < estimated * kLeastRatio || tokens > estimated * kMostRatio) return;
  const std::lock_guard lock(mutex_);
  Site* known = sites_.find(site);
  if (known == nullptr) return;
  known->tokens_ratio += kRatioGain * (tokens / estimated - known->tokens_ratio);
}

size_t CallSites::size() const {
  const std::lock_guard lock(mutex_);
  return sites_.size();
}

}  // namespace payonce::prefix
