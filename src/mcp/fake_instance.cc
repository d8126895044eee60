#include "mcp/fake_instance.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/assert.h"

namespace payonce::mcp {

namespace json = boost::json;

namespace {

bool read_exactly(int fd, void* to, size_t size) {
  auto* at = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t got = recv(fd, at, size, 0);
    if (got <= 0) return false;
    at += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

// Whether a later lookup gives the same names other values.
bool is_stale(const json::array& recorded, const json::array& now) {
  for (const json::value& was : recorded)
    for (const json::value& is : now)
      if (was.at("type") == "value" && is.at("type") == "value" && was.at("name") == is.at("name") &&
          was.at("value") != is.at("value"))
        return true;
  return false;
}

}  // namespace

FakeInstance::FakeInstance() {
  const std::string path = folder_.path() + "/s";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  PAYONCE_ASSERT(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
  PAYONCE_ASSERT(bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  PAYONCE_ASSERT(listen(listener_, 16) == 0);
  setenv("PAYONCE_SOCKET", path.c_str(), 1);
  setenv("PAYONCE_TIMEOUT_MS", "30000", 1);
  threads_.emplace_back([this] {
    for (int fd = accept(listener_, nullptr, nullptr); fd >= 0; fd = accept(listener_, nullptr, nullptr)) {
      const std::lock_guard lock(mutex_);
      open_.push_back(fd);
      threads_.emplace_back([this, fd] { serve(fd); });
    }
  });
}

FakeInstance::~FakeInstance() {
  unsetenv("PAYONCE_SOCKET");
  unsetenv("PAYONCE_TIMEOUT_MS");
  shutdown(listener_, SHUT_RDWR);
  threads_[0].join();  // none is added any more
  for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  for (size_t i = 1; i < threads_.size(); ++i) threads_[i].join();
  for (const int fd : open_) close(fd);
  close(listener_);
}

size_t FakeInstance::entries() {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const Entry& entry : entries_) count += entry.ticket.empty() ? 1 : 0;
  return count;
}

size_t FakeInstance::open_tickets() {
  const size_t committed = entries();
  const std::lock_guard lock(mutex_);
  return entries_.size() - committed;
}

std::vector<json::object> FakeInstance::lookups() {
  const std::lock_guard lock(mutex_);
  return lookups_;
}

void FakeInstance::serve(int fd) {
  std::string credential;
  for (unsigned char head[5]; read_exactly(fd, head, sizeof head);) {
    std::string body(size_t{head[1]} << 24 | size_t{head[2]} << 16 | size_t{head[3]} << 8 | size_t{head[4]}, '\0');
    if (!read_exactly(fd, body.data(), body.size())) return;
    const std::string text =
        json::serialize(answer(static_cast<char>(head[0]), json::parse(body).as_object(), credential));
    const size_t size = text.size();
    std::string frame = {static_cast<char>(head[0]), static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                         static_cast<char>(size >> 8), static_cast<char>(size)};
    frame += text;
    if (send(fd, frame.data(), frame.size(), MSG_NOSIGNAL) < 0) return;
  }
}

json::object FakeInstance::answer(char verb, const json::object& body, std::string& credential) {
  const std::lock_guard lock(mutex_);
  switch (verb) {
    case 'K': credential = body.at("credential").as_string().c_str(); return {{"status", "ok"}};
    case 'L': return lookup(body, credential);
    case 'C': return commit(body);
    case 'I': return invalidate(body, credential);
    case 'A':
      entries_.remove_if([&](const Entry& entry) { return entry.ticket == body.at("ticket").as_string().c_str(); });
      return {{"status", "aborted"}, {"entries", 0}};
    default: return {{"status", "ok"}};
  }
}

json::object FakeInstance::lookup(const json::object& body, const std::string& credential) {
  lookups_.push_back(body);
  const json::object& parts = body.at("parts").as_object();
  const json::object& versions = body.at("versions").as_object();
  const json::array& deps = body.at("deps").as_array();
  const std::string ticket = "t-" + std::to_string(next_ticket_++);
  std::string status = "miss";
  for (const Entry& entry : entries_) {
    if (!entry.ticket.empty() || entry.credential != credential || entry.parts != parts || entry.versions != versions)
      continue;
    if (!is_stale(entry.deps, deps)) return {{"status", "hit"}, {"value", entry.value}};
    status = "stale";
  }
  entries_.push_back({credential, parts, versions, deps, nullptr, ticket});
  return {{"status", status}, {"ticket", ticket}, {"reason", "cold"}};
}

json::object FakeInstance::commit(const json::object& body) {
  for (Entry& entry : entries_) {
    if (entry.ticket != body.at("ticket").as_string().c_str()) continue;
    entry.ticket.clear();
    entry.value = body.at("value");
    entries_.remove_if([&](const Entry& other) {  // the new one stands for the old
      return &other != &entry && other.ticket.empty() && other.credential == entry.credential &&
             other.parts == entry.parts && other.versions == entry.versions;
    });
    return {{"status", "stored"}};
  }
  return {{"status", "dropped"}, {"reason", "unknown_ticket"}};
}

json::object FakeInstance::invalidate(const json::object& body, const std::string& credential) {
  const std::string version = body.at("version").as_string().c_str();
  const std::string name = version.substr(0, version.find('=')), tag = version.substr(version.find('=') + 1);
  const size_t before = entries_.size();
  entries_.remove_if([&](const Entry& entry) {
    const json::value* found = entry.versions.if_contains(name);
    return entry.credential == credential && found != nullptr && *found == json::value(tag);
  });
  return {{"status", "ok"}, {"removed", before - entries_.size()}};
}

}  // namespace payonce::mcp
