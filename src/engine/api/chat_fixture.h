// For tests only: requests of POST /v1/chat/completions.
#pragma once

#include <string>
#include <string_view>

#include "engine/api/api_fixture.h"

namespace payonce::engine {

inline constexpr const char* kChatPath = "/v1/chat/completions";
inline const std::string kChat(kChatBody);
inline const std::string kUser = "<|im_start|>user\nHi<|im_end|>\n";
inline const std::string kAssistant = "<|im_start|>assistant\n";

inline std::string chat_with(std::string_view name, std::string_view value) { return with(kChat, name, value); }
inline std::string tools_body() { return chat_with("tools", "[" + std::string(kWeatherTool) + "]"); }

}  // namespace payonce::engine
