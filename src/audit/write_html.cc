#include <boost/json.hpp>
#include <span>
#include <utility>

#include "audit/write.h"
#include "base/assert.h"

namespace payonce::audit {

std::span<const std::pair<std::string_view, std::string_view>> page_files();  // generated from web/

namespace {

std::string_view page_file(std::string_view name) {
  for (const auto& [known, text] : page_files())
    if (known == name) return text;
  PAYONCE_ASSERT(false);
  return {};
}

// Inside <script>: no "</script", no "<!--"; the JSON stays JSON.
std::string without_tags(const std::string& json) {
  std::string out;
  out.reserve(json.size());
  for (const char c : json) {
    if (c == '<')
      out += "\\u003c";
    else
      out += c;
  }
  return out;
}

}  // namespace

std::string as_html(const boost::json::object& report) {
  const std::string data = without_tags(boost::json::serialize(report));
  std::string out;
  std::string_view rest = page_file("report.html");
  // Each line that is a comment alone, /*name*/, stands for a file; /*data*/ for the figures.
  for (size_t begin = rest.find("/*"); begin != std::string_view::npos; begin = rest.find("/*")) {
    const size_t end = rest.find("*/", begin);
    PAYONCE_ASSERT(end != std::string_view::npos);
    out += rest.substr(0, begin);
    const std::string_view name = rest.substr(begin + 2, end - begin - 2);
    out += name == "data" ? std::string_view(data) : page_file(name);
    rest.remove_prefix(end + 2);
  }
  return out.append(rest);
}

}  // namespace payonce::audit
