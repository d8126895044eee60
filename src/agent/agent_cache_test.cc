#include "agent/agent_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "agent/agent_cache_fixture.h"

namespace payonce::agent {
namespace {

class Cache : public ::testing::Test, public CacheFixture {
 protected:
  std::string file(const std::string& name, std::string_view text) const {
    const std::string path = directory.path() + "/" + name;
    std::ofstream(path, std::ios::trunc) << text;
    return path;
  }
  static Question on_file(const std::string& task, const std::string& path) {
    Question out = question(task);
    out.deps.push_back({DependencyType::kFile, path, ""});
    return out;
  }
};

TEST_F(Cache, GivesWhatASuccessfulOutcomeLeft) {
  EXPECT_EQ(look_text(question("a")), "miss cold");
  EXPECT_EQ(put(question("a"), R"({"n":1})"), "stored");
  EXPECT_EQ(look_text(question("a")), R"(hit {"n":1})");
  EXPECT_EQ(look_text(question("a", Kind::kPlan)), "miss cold");
  EXPECT_EQ(look_text(question("a"), caller("bob")), "miss cold");
  EXPECT_EQ(look_text(question("b")), "miss parts");
  EXPECT_EQ(look_text(question("a"), caller("ann", "user:x")), "miss scope");
  Question other = question("a");
  other.versions = "kb=2";
  EXPECT_EQ(look_text(other), "miss version");
}

TEST_F(Cache, ATicketIsForOneCommitOfItsOwner) {
  const std::string ticket = this->ticket(question("a"));
  EXPECT_EQ(commit({.ticket = ticket, .value = "1"}, "bob"), "not_found");
  EXPECT_EQ(commit({.ticket = ticket, .value = "1"}), "stored");
  EXPECT_EQ(commit({.ticket = ticket, .value = "2"}), "not_found");
  const std::string late = this->ticket(question("b"));
  clock.advance_ms(Runs::kTtl_ms);
  EXPECT_EQ(commit({.ticket = late, .value = "1"}), "not_found");
  const std::string dropped = this->ticket(question("c"));
  EXPECT_TRUE(cache->drop_ticket(dropped, "ann"));
  EXPECT_FALSE(cache->drop_ticket(dropped, "ann"));
}

TEST_F(Cache, EntriesExpire) {
  EXPECT_EQ(commit({.ticket = ticket(question("a")), .value = "1", .ttl_s = 10}), "stored");
  clock.advance_ms(5'000);
  Question fresh = question("a");
  fresh.max_age_s = 4;
  EXPECT_EQ(look_text(fresh), "miss expired");
  EXPECT_EQ(look_text(question("a")), "hit 1");
  clock.advance_ms(5'000);
  EXPECT_EQ(look_text(question("a")), "miss expired");
}

TEST_F(Cache, AChangedFileIsStale) {
  const std::string path = file("calc.py", "one");
  EXPECT_EQ(put(on_file("a", path), "1"), "stored");
  EXPECT_EQ(look_text(question("a")), "hit 1");
  file("calc.py", "two");
  EXPECT_EQ(look_text(question("a")), "stale " + path);
  EXPECT_EQ(put(on_file("a", path), "2"), "stored");
  EXPECT_EQ(look_text(question("a")), "hit 2");
}

TEST_F(Cache, AFileThatChangesMeanwhileDropsTheCommit) {
  const std::string path = file("calc.py", "one");
  const std::string before = ticket(on_file("a", path));
  file("calc.py", "two");
  EXPECT_EQ(commit({.ticket = before, .value = "1"}), "dependency");
  // Named at commit only: as it is then.
  EXPECT_EQ(commit({.ticket = ticket(question("b")), .value = "1", .deps = {{DependencyType::kFile, path, ""}}}),
            "stored");
  file("calc.py", "three");
  EXPECT_EQ(look_text(question("b")), "stale " + path);
}

TEST_F(Cache, ValuesAreStaleWhenALaterLookupNamesAnother) {
  Question first = question("a");
  first.deps.push_back({DependencyType::kValue, "kb", "7"});
  EXPECT_EQ(put(first, "1"), "stored");
  EXPECT_EQ(look_text(first), "hit 1");
  EXPECT_EQ(look_text(question("a")), "hit 1");
  Question later = question("a");
  later.deps.push_back({DependencyType::kValue, "kb", "8"});
  EXPECT_EQ(look_text(later), "stale kb");
}

TEST_F(Cache, OnlyToolsThatWereUsedCount) {
  const auto with_tools = [&](const std::string& read, const std::string& write) {
    Question out = question("a", Kind::kSubagent);
    out.tools_by_use = true;
    out.deps = {{DependencyType::kTool, "read", read}, {DependencyType::kTool, "write", write}};
    return out;
  };
  EXPECT_EQ(commit({.ticket = ticket(with_tools("1", "1")), .value = "1", .used_tools = {"read"}}), "stored");
  EXPECT_EQ(look_text(with_tools("1", "2")), "hit 1");
  EXPECT_EQ(look_text(with_tools("2", "1")), "stale read");
}

TEST_F(Cache, SecretsAreNotStored) {
  EXPECT_EQ(put(question("a"), "\"-----BEGIN PRIVATE KEY-----\""), "secret");
  EXPECT_EQ(look_text(question("a")), "miss cold");
  EXPECT_EQ(put(on_file("b", file(".env", "X=1")), "1"), "secret");
}

TEST_F(Cache, APendingValueIsItsRunsOwnUntilTheRunEndsWell) {
  Question in_run = question("a");
  in_run.run = "run-1";
  EXPECT_EQ(commit({.ticket = ticket(in_run), .value = "1", .pending = true}), "stored");
  const Found own = look(in_run);
  ASSERT_TRUE(std::holds_alternative<Hit>(own));
  EXPECT_TRUE(std::get<Hit>(own).pending);
  EXPECT_EQ(look_text(question("a")), "miss cold");
  Question other_run = in_run;
  other_run.run = "run-2";
  EXPECT_EQ(look_text(other_run), "miss cold");
  EXPECT_EQ(look_text(in_run, caller("bob")), "miss cold");
  EXPECT_EQ(cache->publish("run-1", "bob"), 0u);
  EXPECT_EQ(cache->publish("run-1", "ann"), 1u);
  EXPECT_EQ(look_text(question("a")), "hit 1");
  EXPECT_EQ(cache->publish("run-1", "ann"), 0u);
  EXPECT_EQ(commit({.ticket = ticket(question("b")), .value = "1", .pending = true}), "invalid");
}

TEST_F(Cache, AnAbortedRunLeavesNothing) {
  Question in_run = question("a");
  in_run.run = "run-1";
  EXPECT_EQ(commit({.ticket = ticket(in_run), .value = "1", .pending = true}), "stored");
  Question open = question("b");
  open.run = "run-1";
  const std::string ticket = this->ticket(open);
  EXPECT_EQ(cache->abort("run-1", "bob"), 0u);
  EXPECT_EQ(cache->abort("run-1", "ann"), 1u);
  EXPECT_EQ(look_text(in_run), "miss cold");
  EXPECT_EQ(commit({.ticket = ticket, .value = "1"}), "not_found");
}

TEST_F(Cache, PendingValuesExpireAndDoNotOutliveARestart) {
  Question in_run = question("a");
  in_run.run = "run-1";
  EXPECT_EQ(commit({.ticket = ticket(in_run), .value = "1", .pending = true}), "stored");
  clock.advance_ms(Runs::kTtl_ms);
  EXPECT_EQ(look_text(in_run), "miss cold");
  EXPECT_EQ(commit({.ticket = ticket(in_run), .value = "1", .pending = true}), "stored");
  reopen();
  EXPECT_EQ(look_text(in_run), "miss cold");
}

TEST_F(Cache, ARestartForgetsNothing) {
  const std::string path = file("calc.py", "one");
  EXPECT_EQ(put(on_file("a", path), R"({"text":"a\nb",
    "n":1})"),
            "stored");
  EXPECT_EQ(put(question("b"), "2", caller("bob")), "stored");
  reopen();
  EXPECT_EQ(look_text(question("a")), "hit {\"text\":\"a\\nb\",\n    \"n\":1}");
  EXPECT_EQ(look_text(question("c")), "miss parts");
  EXPECT_EQ(cache->stats(Kind::kToolResult).entries, 2u);
  EXPECT_EQ(cache->invalidate({.path = path}, "bob"), 0u);
  EXPECT_EQ(cache->invalidate({.path = path}, "ann"), 1u);
  reopen();
  EXPECT_EQ(look_text(question("a")), "miss cold");
  EXPECT_EQ(look_text(question("b"), caller("bob")), "hit 2");
}

TEST_F(Cache, AnInvalidationTakesWhatItNamesAndNothingElse) {
  const auto all = [&] {
    Question a = question("a"), b = question("b"), c = question("c", Kind::kPlan);
    a.versions = "tools=v3";
    a.deps.push_back({DependencyType::kDirectory, directory.path(), ""});
    EXPECT_EQ(put(a, "1"), "stored");
    EXPECT_EQ(put(b, "2", caller("ann", "session:7,user:x")), "stored");
    EXPECT_EQ(put(c, "3"), "stored");
    (void)put(a, "4", caller("bob"));
  };
  const std::string id = [&] {
    all();
    const Found found = look(question("c", Kind::kPlan));
    return std::get<Hit>(found).entry->id();
  }();
  EXPECT_EQ(cache->invalidate({.id = id}, "bob"), 0u);
  EXPECT_EQ(cache->invalidate({.id = id}, "ann"), 1u);
  EXPECT_EQ(cache->invalidate({.version = "tools=v3"}, "ann"), 1u);
  EXPECT_EQ(cache->invalidate({.scope_name = "user:y"}, "ann"), 0u);
  EXPECT_EQ(cache->invalidate({.scope_name = "user:x"}, "ann"), 1u);
  all();
  EXPECT_EQ(cache->invalidate({.path = directory.path() + "/some/file"}, "ann"), 1u);
  EXPECT_EQ(cache->invalidate({.kind = Kind::kPlan}, "ann"), 1u);
  EXPECT_EQ(cache->stats(Kind::kToolResult).entries, 2u);  // b and bob's
}

TEST_F(Cache, AnInvalidationDropsOpenTicketsAndPendingValues) {
  Question in_run = question("a");
  in_run.run = "run-1";
  in_run.versions = "tools=v3";
  EXPECT_EQ(commit({.ticket = ticket(in_run), .value = "1", .pending = true}), "stored");
  Question other = question("b");
  other.versions = "tools=v3";
  const std::string ticket = this->ticket(other);
  EXPECT_EQ(cache->invalidate({.version = "tools=v3"}, "ann"), 1u);
  EXPECT_EQ(commit({.ticket = ticket, .value = "1"}), "not_found");
  EXPECT_EQ(cache->publish("run-1", "ann"), 0u);
}

TEST_F(Cache, MannersDoNotMatterWhereTheTaskIsAText) {
  const auto asking = [&](const std::string& text, const std::string& model = "m") {
    Question out{.kind = Kind::kPlan};
    out.parts = {{"model", base::sha256(model)}, {"task", base::sha256(text)}};
    out.text = text;
    out.text_part = "task";
    return out;
  };
  EXPECT_EQ(put(asking("Explain calc.py"), "1"), "stored");
  EXPECT_EQ(look_text(asking("could you please explain calc.py?")), "hit 1");
  EXPECT_TRUE(std::get<Hit>(look(asking("Please explain calc.py"))).by_intent);
  EXPECT_EQ(look_text(asking("Explain util.py")), "miss parts");
  EXPECT_EQ(look_text(asking("Please explain calc.py", "m2")), "miss parts");
  EXPECT_EQ(look_text(asking("Please explain calc.py"), caller("bob")), "miss cold");
  reopen();
  EXPECT_EQ(look_text(asking("Please explain calc.py")), "hit 1");
  EXPECT_EQ(cache->invalidate({.kind = Kind::kPlan}, "ann"), 1u);
  EXPECT_EQ(look_text(asking("Please explain calc.py")), "miss cold");
}

TEST_F(Cache, ExplainsByTheNearestEntry) {
  Question first = question("a", Kind::kPlan);
  first.parts.push_back({"tools", base::sha256("t1")});
  first.versions = "kb=1";
  EXPECT_EQ(put(first, "1"), "stored");
  Question second = first;
  second.parts.back().digest = base::sha256("t2");
  second.versions = "kb=2";
  second.explain = true;
  const Found found = look(second, caller("ann", "user:x"));
  const auto& miss = std::get<Miss>(found);
  ASSERT_TRUE(miss.nearest.entry);
  EXPECT_EQ(miss.nearest.changed, (std::vector<std::string>{"parts.tools", "scope", "versions.kb"}));
}

TEST_F(Cache, WhatTheIndexCannotHoldGoes) {
  reopen({.memory_bytes = 20'000});
  for (int i = 0; i < 200; ++i) EXPECT_EQ(put(question(std::to_string(i)), "1"), "stored");
  const uint64_t entries = cache->stats(Kind::kToolResult).entries;
  EXPECT_GT(entries, 5u);
  EXPECT_LT(entries, 40u);
  EXPECT_EQ(look_text(question("199")), "hit 1");
  EXPECT_EQ(look_text(question("0")), "miss parts");
  EXPECT_EQ(store->stats().memory_entries, entries);
}

TEST_F(Cache, AFloodOfTicketsOrOfUnfinishedRunsTakesNoMoreMemoryAndNobodyElsesTicket) {
  reopen({.memory_bytes = 20'000});
  const std::string bobs = ticket(question("bob's"), caller("bob"));
  std::vector<std::string> anns;
  for (int i = 0; i < 200; ++i) anns.push_back(ticket(question(std::to_string(i))));
  EXPECT_EQ(commit({.ticket = anns.front(), .value = "1"}), "not_found");
  EXPECT_EQ(commit({.ticket = anns.back(), .value = "1"}), "stored");
  EXPECT_EQ(commit({.ticket = bobs, .value = "1"}, "bob"), "stored");

  const std::string open = ticket(question("open"));
  Question vast = question("vast");
  vast.versions = std::string(20'000, 'v');
  EXPECT_EQ(commit({.ticket = ticket(vast), .value = "1"}), "not_found");  // and it closes no other
  EXPECT_EQ(commit({.ticket = open, .value = "1"}), "stored");

  Question unfinished = question("run");
  unfinished.run = "r";
  int kept = 0;
  for (int i = 0; i < 50; ++i) {
    unfinished.parts.back().digest = base::sha256(std::to_string(1000 + i));
    const std::string said = commit({.ticket = ticket(unfinished), .value = std::string(2000, '1'), .pending = true});
    EXPECT_TRUE(said == "stored" || said == "no_room") << said;
    if (said == "stored") ++kept;
  }
  EXPECT_GT(kept, 2);
  EXPECT_LT(kept, 10);
}

TEST_F(Cache, WaitsForTheCallerThatComputesIt) {
  const std::string ticket = this->ticket(question("a"));
  Question patient = question("a");
  patient.wait_ms = 1000;
  EXPECT_TRUE(std::holds_alternative<Busy>(look(patient)));
  int woken = 0;
  cache->when_free(std::make_shared<Question>(patient), caller("ann"), [&] {
    ++woken;
    EXPECT_EQ(look_text(patient), "hit 1");  // the value is there before the wake-up
  });
  EXPECT_EQ(woken, 0);
  EXPECT_EQ(commit({.ticket = ticket, .value = "1"}), "stored");
  EXPECT_EQ(woken, 1);
}

// All ask at once, and the one that computes commits while others ask: nobody else is told to compute it.
TEST_F(Cache, OfManyThatWouldWaitOneComputes) {
  constexpr int kThreads = 4, kTasks = 500;
  std::atomic<int> computed{0};
  std::barrier together(kThreads);
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreads; ++number)
    threads.emplace_back([&] {
      for (int task = 0; task < kTasks; ++task) {
        Question patient = question(std::to_string(task));
        patient.wait_ms = 1000;
        together.arrive_and_wait();
        while (true) {
          const Found found = look(patient);
          if (std::holds_alternative<Hit>(found)) break;
          const auto* miss = std::get_if<Miss>(&found);
          if (miss == nullptr) continue;
          ++computed;
          EXPECT_EQ(commit({.ticket = miss->ticket, .value = "1"}), "stored");
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(computed, kTasks);
}

// Runs that commit, abort and invalidate at once: what is given is of the asker, of the last publication of that key,
// and whole.
TEST_F(Cache, ThousandsOfRunsAtOnceNeverMix) {
  constexpr int kRuns = 1000, kTasks = 20, kThreads = 4;
  std::atomic<int> next{0}, wrong{0}, hits{0};
  std::vector<std::atomic<bool>> succeeded(kRuns);
  const auto one_run = [&](int number) {
    std::mt19937 random(static_cast<unsigned>(number));
    const std::string credential = "user" + std::to_string(number % 3);
    const bool ends_well = random() % 2 == 0;
    const std::string run = "run-" + std::to_string(number);
    for (int step = 0; step < 5; ++step) {
      Question asked = question(std::to_string(random() % kTasks));
      asked.run = run;
      const Found found = look(asked, caller(credential));
      if (const auto* hit = std::get_if<Hit>(&found)) {
        ++hits;
        // "CREDENTIAL NUMBER xxxx…": of this caller, of a run that ended well or of this one, and whole.
        std::istringstream value{std::string(hit->value.view())};
        std::string quote, who, text;
        int writer = 0;
        value >> quote >> who >> writer >> text;
        if (who != credential || text.size() != 64 + static_cast<size_t>(writer % 50)) ++wrong;
        if (writer != number && !succeeded[static_cast<size_t>(writer)]) ++wrong;
        continue;
      }
      const std::string value = "\" " + credential + " " + std::to_string(number) + " " +
                                std::string(64 + static_cast<size_t>(number % 50), 'x') + " \"";
      (void)commit({.ticket = std::get<Miss>(found).ticket, .value = value, .pending = true}, credential);
    }
    if (random() % 20 == 0) (void)cache->invalidate({.kind = Kind::kToolResult}, credential);
    if (ends_well) {
      succeeded[static_cast<size_t>(number)] = true;
      (void)cache->publish(run, credential);
    } else {
      (void)cache->abort(run, credential);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      for (int number = next++; number < kRuns; number = next++) one_run(number);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(hits, 100);
}

}  // namespace
}  // namespace payonce::agent
