// How reasons and drops are written in answers.
#include "agent/agent_cache.h"

namespace payonce::agent {

std::string_view reason_name(Reason reason) {
  switch (reason) {
    case Reason::kCold: return "cold";
    case Reason::kVersion: return "version";
    case Reason::kScope: return "scope";
    case Reason::kExpired: return "expired";
    case Reason::kParts: return "parts";
    case Reason::kDependency: return "dependency";
  }
  return "?";
}

std::string_view drop_name(Drop drop) {
  switch (drop) {
    case Drop::kNone: return "none";
    case Drop::kOutcome: return "outcome";
    case Drop::kDependency: return "dependency";
    case Drop::kSecret: return "secret";
    case Drop::kTooLarge: return "too_large";
    case Drop::kNoRoom: return "no_room";
  }
  return "?";
}

}  // namespace payonce::agent
