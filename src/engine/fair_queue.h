// Who is served next: of the tenants that wait, the one that was given least. A tenant's counter grows with the
// tokens computed for it; one that comes (back) starts at the least of those active, so that idle time earns nothing.
// Threads: one (the engine's).  Bounded: holds tenants only while they have requests.
// Source: Sheng et al. 2024, "Fairness in Serving Large Language Models" (VTC), algorithm 2.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>

namespace payonce::engine {

struct Group;

class FairQueue {
 public:
  void push(Group& group);
  Group* front();                   // null: nobody waits
  void pop_front();                 // takes what front() gave
  void remove(const Group& group);  // waiting or not: it has ended
  void charge(const std::string& tenant, double tokens);
  double counter(const std::string& tenant) const;
  int32_t waiting() const { return waiting_; }

 private:
  struct Tenant {
    double counter = 0;
    int32_t active = 0;  // waiting and running
    std::deque<Group*> queue;
  };
  Tenant* next();

  std::unordered_map<std::string, Tenant> tenants_;
  int32_t waiting_ = 0;
};

}  // namespace payonce::engine
