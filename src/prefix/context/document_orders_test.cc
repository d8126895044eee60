#include "prefix/context/document_orders.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>

namespace payonce::prefix {
namespace {

// Documents are letters; a request's order goes in, the order that is sent comes out.
class Sender {
 public:
  explicit Sender(DocumentOrders::Limits limits = {}) : orders_(limits) {}
  std::string operator()(const std::string& documents, const std::string& site = "s") {
    std::vector<DocumentOrders::Item> items;
    for (const char c : documents) items.push_back({hash_(std::string(1, c)), 100});
    const auto layout = orders_.layout(
        {.site = hash_(site), .text = hash_.parts<2>({site, documents}), .items = items, .may_change_order = true});
    std::string out;
    for (const uint16_t i : layout.order) out += documents[i];
    return out;
  }

 private:
  base::KeyedHash hash_{"test"};
  DocumentOrders orders_;
};

TEST(DocumentOrders, EqualSetsAreSentInOneOrder) {
  Sender send;
  EXPECT_EQ(send("bca"), "bca");
  EXPECT_EQ(send("abc"), "bca");
  EXPECT_EQ(send("cab"), "bca");
  EXPECT_EQ(send("cab", "another site"), "cab");
}

TEST(DocumentOrders, TheLongestKnownPathComesFirst) {
  Sender send;
  send("abc");
  EXPECT_EQ(send("xcab"), "abcx");
  EXPECT_EQ(send("yba"), "aby");
}

TEST(DocumentOrders, WhatIsAlwaysThereRisesToTheFront) {
  Sender send;
  send("xs");
  EXPECT_EQ(send("ys"), "sy");
  EXPECT_EQ(send("zs"), "sz");
}

TEST(DocumentOrders, ATextIsSentAgainAsItWasSentFirst) {
  Sender send;
  const std::string first = send("ab");
  for (const char* other : {"ca", "da", "ea", "cba"}) send(other);
  EXPECT_EQ(send("ab"), first);
}

RC_GTEST_PROP(DocumentOrders, EveryOrderHasTheSameDocumentsWhateverIsForgotten, ()) {
  Sender send({.sites = 2, .nodes = 16, .layouts = 4});
  for (int i = 0; i < 60; ++i) {
    const int set = *rc::gen::inRange(0, 1024);
    std::string documents;
    for (int bit = 9; bit >= 0; --bit)
      if ((set >> bit & 1) != 0) documents += static_cast<char>('a' + bit);
    std::string sent = send(documents);
    std::sort(sent.begin(), sent.end());
    std::sort(documents.begin(), documents.end());
    RC_ASSERT(sent == documents);
  }
}

}  // namespace
}  // namespace payonce::prefix
