// What is never stored: values that hold credentials, and what was read from files made to hold them. Errs on the
// side of a miss.  Threads: pure functions.
#pragma once

#include <string_view>

namespace payonce::agent {

// ".env", "id_ed25519", "server.pem", anything below ".ssh" or ".aws", …
bool is_secret_path(std::string_view path);
// A private key, or a token with the prefix that its issuer documents (Anthropic, OpenAI, GitHub, GitLab, AWS,
// Google, Slack, Stripe, npm, PyPI, Hugging Face).
bool holds_secret(std::string_view text);

}  // namespace payonce::agent
