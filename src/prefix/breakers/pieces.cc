#include "prefix/breakers/pieces.h"

#include <algorithm>
#include <unordered_map>

#include "base/ascii.h"

namespace payonce::prefix {
namespace {

constexpr size_t kMinPieceBytes = 24;  // shorter ones say nothing about order
constexpr size_t kMaxPieces = 4096;
constexpr size_t kSentencesOfALine = 3;

using base::is_digit;

// FNV-1a, 64 bits.
uint64_t hash_of(std::string_view text) {
  while (!text.empty() && !base::is_utf8_letter(text.front())) text.remove_prefix(1);
  uint64_t hash = 14695981039346656037u;
  bool in_number = false;
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t' || (is_digit(c) && in_number)) continue;
    in_number = is_digit(c);
    hash = (hash ^ static_cast<uint8_t>(in_number ? '#' : c)) * 1099511628211u;
  }
  return hash;
}

bool ends_sentence(std::string_view line, size_t at) {
  return (line[at] == '.' || line[at] == '!' || line[at] == '?' || line[at] == ';') && at + 1 < line.size() &&
         line[at + 1] == ' ';
}

void split_line(std::string_view text, uint32_t begin, uint32_t end, Cut cut, std::vector<TextPiece>& out) {
  uint32_t from = begin;
  for (uint32_t at = begin; cut == Cut::kSentences && at + 1 < end; ++at)
    if (ends_sentence(text, at) && at + 2 - from >= kMinPieceBytes && out.size() < kMaxPieces) {
      out.push_back({hash_of(text.substr(from, at + 2 - from)), from, at + 2});
      from = at + 2;
    }
  if (from < end) out.push_back({hash_of(text.substr(from, end - from)), from, end});
}

// Pieces that stand once in the text and are long enough, by hash.
std::unordered_map<uint64_t, uint32_t> unique_pieces(const std::vector<TextPiece>& pieces) {
  std::unordered_map<uint64_t, uint32_t> out;
  for (uint32_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].end - pieces[i].begin < kMinPieceBytes) continue;
    const auto [it, fresh] = out.emplace(pieces[i].hash, i);
    if (!fresh) it->second = UINT32_MAX;
  }
  std::erase_if(out, [](const auto& entry) { return entry.second == UINT32_MAX; });
  return out;
}

}  // namespace

std::vector<TextPiece> pieces_of(std::string_view text, Cut cut) {
  std::vector<TextPiece> out;
  uint32_t begin = 0;
  const auto size = static_cast<uint32_t>(text.size());
  while (begin < size) {
    size_t end = out.size() < kMaxPieces ? text.find('\n', begin) : std::string_view::npos;
    end = end == std::string_view::npos ? size : end + 1;
    split_line(text, begin, static_cast<uint32_t>(end), cut, out);
    begin = static_cast<uint32_t>(end);
  }
  return out;
}

Sketch sketch_of(std::string_view text) {
  Sketch out;
  for (const TextPiece& piece : pieces_of(text)) {
    out.pieces.emplace_back(piece.hash, piece.end - piece.begin);
    out.bytes += piece.end - piece.begin;
  }
  std::sort(out.pieces.begin(), out.pieces.end());
  return out;
}

double likeness(const Sketch& a, const Sketch& b) {
  if (a.bytes == 0 || b.bytes == 0) return a.bytes == b.bytes ? 1 : 0;
  uint64_t shared = 0;
  auto one = a.pieces.begin();
  auto other = b.pieces.begin();
  while (one != a.pieces.end() && other != b.pieces.end()) {
    if (one->first < other->first) {
      ++one;
    } else if (other->first < one->first) {
      ++other;
    } else {
      shared += std::max(one->second, other->second);
      ++one;
      ++other;
    }
  }
  return std::min(1.0, static_cast<double>(shared) / static_cast<double>(std::max(a.bytes, b.bytes)));
}

std::vector<bool> moved_items(const std::vector<uint32_t>& ranks) {
  std::vector<uint32_t> tails;  // index of the last item of the best run of each length
  std::vector<uint32_t> before(ranks.size(), UINT32_MAX);
  for (uint32_t i = 0; i < ranks.size(); ++i) {
    const auto it = std::lower_bound(tails.begin(), tails.end(), ranks[i],
                                     [&](uint32_t index, uint32_t rank) { return ranks[index] < rank; });
    if (it != tails.begin()) before[i] = *(it - 1);
    if (it == tails.end())
      tails.push_back(i);
    else
      *it = i;
  }
  std::vector<bool> moved(ranks.size(), true);
  for (uint32_t at = tails.empty() ? UINT32_MAX : tails.back(); at != UINT32_MAX; at = before[at]) moved[at] = false;
  return moved;
}

namespace {

std::optional<Reordered> reordered_by(Cut cut, std::string_view a, std::string_view b, const Same& same) {
  const std::vector<TextPiece> of_a = pieces_of(a, cut), of_b = pieces_of(b, cut);
  const auto unique_a = unique_pieces(of_a), unique_b = unique_pieces(of_b);
  std::vector<uint32_t> ranks, at_b;  // shared pieces in the order of b: their places in a, and in b
  uint64_t shared = 0;
  for (uint32_t i = 0; i < of_b.size(); ++i) {
    const auto known_b = unique_b.find(of_b[i].hash);
    const auto known_a = unique_a.find(of_b[i].hash);
    if (known_b == unique_b.end() || known_b->second != i || known_a == unique_a.end()) continue;
    ranks.push_back(known_a->second);
    at_b.push_back(i);
    shared += of_b[i].end - of_b[i].begin;
  }
  if (ranks.size() < 2 ||
      static_cast<double>(shared) < same.share * static_cast<double>(std::max(a.size(), b.size())))
    return std::nullopt;
  if (std::is_sorted(ranks.begin(), ranks.end())) return std::nullopt;
  const size_t lone = std::max(unique_a.size(), unique_b.size()) - ranks.size();
  if (lone > size_t{same.lone_lines} * (cut == Cut::kLines ? 1 : kSentencesOfALine)) return std::nullopt;
  // The place where a reader of b first finds another piece than in a.
  std::vector<uint32_t> sorted = ranks;
  std::sort(sorted.begin(), sorted.end());
  size_t first = 0;
  while (ranks[first] == sorted[first]) ++first;
  Reordered out{of_b[at_b[first]].begin, of_b[at_b[first]].end, {}};
  size_t hole = 0;
  for (uint32_t i = 0; i < of_a.size(); ++i) {
    const bool is_hole = hole < sorted.size() && sorted[hole] == i;
    const TextPiece& piece = of_a[is_hole ? ranks[hole++] : i];
    out.aligned.append(a.substr(piece.begin, piece.end - piece.begin));
  }
  return out;
}

}  // namespace

std::optional<Reordered> find_reordered(std::string_view a, std::string_view b, const Same& same) {
  if (auto found = reordered_by(Cut::kLines, a, b, same)) return found;
  // Sentences only where there are no lines: some sentences stand in more than one document.
  return unique_pieces(pieces_of(b, Cut::kLines)).size() > 2 ? std::nullopt
                                                             : reordered_by(Cut::kSentences, a, b, same);
}

}  // namespace payonce::prefix
