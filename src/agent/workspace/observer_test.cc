#include "agent/workspace/observer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/temporary_directory.h"

namespace payonce::agent {
namespace {

namespace fs = std::filesystem;

class Workspace : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  void write(const std::string& name, std::string_view text) const {
    fs::create_directories(fs::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::trunc) << text;
  }
  void git(const std::string& command) const {
    const std::string line = "git -C '" + directory_.path() +
                             "' -c user.name=a -c user.email=a@b -c init.defaultBranch=main " + command +
                             " >/dev/null 2>&1";
    ASSERT_EQ(std::system(line.c_str()), 0) << line;
  }
  std::string state(DependencyType type, const std::string& name = "") {
    const auto found = observer_.state({type, name.empty() ? directory_.path() : path(name), ""});
    return found ? *found : "error: " + found.error().message;
  }
  // Longer than the ticks that file systems stamp with, so that digests are remembered.
  static void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(FileStates::kRacy_ms + 20)); }

  base::TemporaryDirectory directory_;
  base::SystemClock clock_;
  Observer observer_{clock_};
};

TEST_F(Workspace, AFileIsItsBytes) {
  write("a", "one");
  const std::string before = state(DependencyType::kFile, "a");
  EXPECT_TRUE(before.starts_with("file:")) << before;
  settle();
  EXPECT_EQ(state(DependencyType::kFile, "a"), before);
  EXPECT_EQ(state(DependencyType::kFile, "a"), before);  // by its stat
  write("a", "two");
  EXPECT_NE(state(DependencyType::kFile, "a"), before);
  write("a", "one");
  EXPECT_EQ(state(DependencyType::kFile, "a"), before);  // another mtime, the same bytes
  fs::remove(path("a"));
  EXPECT_EQ(state(DependencyType::kFile, "a"), "absent");
}

TEST_F(Workspace, OtherBytesOfEqualSizeUnderARestoredMtimeAreSeen) {
  write("a", "one");
  settle();
  struct stat before{};
  ASSERT_EQ(::stat(path("a").c_str(), &before), 0);
  const std::string state_before = state(DependencyType::kFile, "a");
  write("a", "two");
  const timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, path("a").c_str(), times, 0), 0);
  struct stat after{};
  ASSERT_EQ(::stat(path("a").c_str(), &after), 0);
  ASSERT_EQ(after.st_size, before.st_size);
  ASSERT_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
  EXPECT_NE(state(DependencyType::kFile, "a"), state_before);
}

TEST_F(Workspace, AFileReplacedByRenameIsSeen) {
  write("a", "one");
  settle();
  const std::string before = state(DependencyType::kFile, "a");
  write("b", "two");
  fs::rename(path("b"), path("a"));
  EXPECT_NE(state(DependencyType::kFile, "a"), before);
}

TEST_F(Workspace, WritesInOneTickAreSeen) {
  std::string before;
  for (int i = 0; i < 200; ++i) {
    write("a", std::to_string(1000 + i));
    const std::string now = state(DependencyType::kFile, "a");
    ASSERT_NE(now, before) << i;
    before = now;
  }
}

TEST_F(Workspace, WhatIsNoFileHasNoState) {
  EXPECT_TRUE(state(DependencyType::kFile).starts_with("error:"));
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_TRUE(state(DependencyType::kFile, "pipe").starts_with("error:"));  // and does not hang
}

TEST_F(Workspace, ADirectoryIsTheNamesBelowIt) {
  write("a", "1");
  write("sub/deep/b", "1");
  const std::string before = state(DependencyType::kDirectory);
  EXPECT_EQ(state(DependencyType::kDirectory), before);
  write("a", "other content");
  write(".git/index", "x");
  EXPECT_EQ(state(DependencyType::kDirectory), before);
  write("sub/deep/c", "1");
  const std::string more = state(DependencyType::kDirectory);
  EXPECT_NE(more, before);
  fs::remove(path("sub/deep/c"));
  EXPECT_EQ(state(DependencyType::kDirectory), before);
  fs::create_directory(path("sub/new"));
  write("sub/new/d", "1");  // below a directory that came after the watch
  const std::string with_new = state(DependencyType::kDirectory);
  write("sub/new/e", "1");
  EXPECT_NE(state(DependencyType::kDirectory), with_new);
}

TEST_F(Workspace, AnotherDirectoryUnderTheSamePathIsSeen) {
  write("tree/a", "1");
  const std::string before = state(DependencyType::kDirectory, "tree");
  fs::rename(path("tree"), path("old"));
  EXPECT_EQ(state(DependencyType::kDirectory, "tree"), "absent");
  write("tree/b", "1");
  EXPECT_NE(state(DependencyType::kDirectory, "tree"), before);
}

TEST_F(Workspace, ARepositoryIsHeadAndWhatDiffersFromIt) {
  EXPECT_EQ(state(DependencyType::kGit), "absent");
  write("a", "one\n");
  write(".gitignore", "*.log\n");
  git("init");
  git("add -A");
  git("commit -m first");
  const std::string clean = state(DependencyType::kGit);
  EXPECT_TRUE(clean.starts_with("git:")) << clean;
  write("noise.log", "ignored");
  EXPECT_EQ(state(DependencyType::kGit), clean);
  write("new", "untracked");
  const std::string untracked = state(DependencyType::kGit);
  EXPECT_NE(untracked, clean);
  write("new", "untracked, changed");
  EXPECT_NE(state(DependencyType::kGit), untracked);
  fs::remove(path("new"));
  EXPECT_EQ(state(DependencyType::kGit), clean);
  write(".gitignore", "*.log\nbuild\n");
  write("build/out", "in a directory that is ignored, and so not watched");
  const std::string ignoring = state(DependencyType::kGit);
  write("build/out", "changed");
  EXPECT_EQ(state(DependencyType::kGit), ignoring);
  write(".gitignore", "*.log\n");
  const std::string seen = state(DependencyType::kGit);
  EXPECT_NE(seen, clean);
  write("build/out", "seen now");
  EXPECT_NE(state(DependencyType::kGit), seen);
  fs::remove_all(path("build"));
  EXPECT_EQ(state(DependencyType::kGit), clean);
  write(".git/info/exclude", "excluded\n");
  write("excluded", "1");
  EXPECT_EQ(state(DependencyType::kGit), clean);
  write("a", "two\n");
  const std::string dirty = state(DependencyType::kGit);
  EXPECT_NE(dirty, clean);
  write("a", "one\n");
  EXPECT_EQ(state(DependencyType::kGit), clean);
  write("a", "two\n");
  git("commit -am second");
  const std::string second = state(DependencyType::kGit);
  EXPECT_NE(second, clean);
  EXPECT_NE(second, dirty);
  git("checkout -q HEAD~1");
  EXPECT_EQ(state(DependencyType::kGit), clean);
}

TEST_F(Workspace, ARepositoryThatChangesAndChangesBackInOneTickIsAsItWas) {
  write("a", "1");
  git("init");
  git("add -A");
  git("commit -m first");
  std::string clean = state(DependencyType::kGit);
  for (int i = 0; i < 100; ++i) {
    if (i % 5 == 0) {  // just behind a commit, where the index is as young as the file
      write("b", std::to_string(i));
      git("add -A");
      git("commit -m next");
      clean = state(DependencyType::kGit);
    }
    write("a", "2");
    ASSERT_NE(state(DependencyType::kGit), clean) << i;
    write("a", "1");
    ASSERT_EQ(state(DependencyType::kGit), clean) << i;
  }
}

TEST_F(Workspace, ChangedNamesWhatChanged) {
  write("a", "one");
  write("b", "one");
  std::vector<Observed> seen;
  for (const char* name : {"a", "b"})
    seen.push_back({{DependencyType::kFile, path(name), ""}, state(DependencyType::kFile, name)});
  seen.push_back({{DependencyType::kValue, "kb", ""}, "7"});
  seen.push_back({{DependencyType::kTool, "read", ""}, "digest"});
  const std::vector<Dependency> same = {{DependencyType::kTool, "read", "digest"}};
  EXPECT_TRUE(observer_.changed(seen, same).empty());
  write("b", "two");
  const std::vector<Dependency> given = {{DependencyType::kValue, "kb", "8"},
                                         {DependencyType::kTool, "read", "other"}};
  const auto changed = observer_.changed(seen, given);
  ASSERT_EQ(changed.size(), 3u);
  EXPECT_EQ(changed[0].name, path("b"));
  EXPECT_EQ(changed[1].name, "kb");
  EXPECT_EQ(changed[2].name, "read");
  EXPECT_EQ(observer_.changed(seen, {}).back().name, "read");  // a tool that is no longer listed
}

}  // namespace
}  // namespace payonce::agent
