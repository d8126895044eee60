#include "prefix/breakers/finding_json.h"

namespace payonce::prefix {

boost::json::object finding_json(const Finding& finding, bool with_text) {
  const KindInfo& about = finding.about();
  boost::json::object out{{"kind", about.name},
                          {"request", finding.request},
                          {"path", finding.path},
                          {"byte_offset", finding.byte_offset},
                          {"bytes", finding.bytes},
                          {"occurrences", finding.occurrences},
                          {"tokens", finding.tokens},
                          {"cost_usd", finding.cost_usd},
                          {"fix_class", fix_class_name(about.fix_class)},
                          {"safe", about.safe},
                          {"fix", about.fix},
                          {"what", about.what},
                          {"why", about.why},
                          {"detail", finding.detail}};
  if (with_text) {
    out["before"] = finding.before;
    out["after"] = finding.after;
  }
  return out;
}

}  // namespace payonce::prefix
