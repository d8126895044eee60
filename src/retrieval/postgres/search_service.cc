#include "retrieval/postgres/search_service.h"

#include <boost/json.hpp>
#include <utility>

namespace payonce::retrieval {
namespace {

constexpr size_t kMaxQueue = 1024;  // searches that wait for a connection

}  // namespace

// One search on its way. Its fields are touched on its loop alone.
class SearchService::Search final : public net::Call, public std::enable_shared_from_this<Search> {
 public:
  Search(net::EventLoop& loop, std::shared_ptr<net::ResponseSink> sink) : loop_(loop), sink_(std::move(sink)) {}
  void cancel() override { sink_.reset(); }
  void pause() override {}
  void resume() override {}

  // From any thread: an answer is small, so it comes in one piece.
  void answer(base::Result<std::string> result) {
    loop_.post([self = shared_from_this(), result = std::move(result)] { self->give(result); });
  }

 private:
  void give(const base::Result<std::string>& result) {
    const auto sink = std::exchange(sink_, nullptr);
    if (!sink) return;
    net::ResponseHead head{.status = result ? 200 : base::code_http_status(result.error().code)};
    head.headers.add("Content-Type", "application/json");
    sink->on_head(std::move(head));
    sink->on_data(base::Bytes(result ? *result
                                     : boost::json::serialize(boost::json::object{
                                           {"error", boost::json::object{{"message", result.error().message}}}})));
    sink->on_end();
  }

  net::EventLoop& loop_;
  std::shared_ptr<net::ResponseSink> sink_;  // null: over
};

SearchService::SearchService(Options options, embed::Embedder* embedder)
    : options_(std::move(options)),
      embedder_(embedder),
      pool_(options_.pool),
      workers_({.threads = options_.connections, .queue_limit = kMaxQueue, .waited_for = true}) {}

SearchService::~SearchService() = default;

std::shared_ptr<net::Call> SearchService::send(net::RequestHead head, base::Bytes body, std::string /*tenant*/,
                                               net::EventLoop& loop, std::shared_ptr<net::ResponseSink> sink) {
  const auto search = std::make_shared<Search>(loop, std::move(sink));
  if (head.method != "POST" || head.path() != "/query") {
    search->answer(base::fail(base::Code::kNotFound, "no such path here; POST …/query searches a table"));
    return search;
  }
  auto request = SearchRequest::parse(body.view());
  if (!request) {
    search->answer(base::fail(std::move(request.error())));
  } else if (!request->vector.empty()) {
    run(search, *std::move(request));
  } else if (embedder_ == nullptr) {
    search->answer(
        base::fail(base::Code::kInvalid, "text: there is no embedder here (semantic.embedder); send vector"));
  } else {
    const std::string text = request->text;
    const auto status = embedder_->embed(text, [this, search, kept = *request](base::Result<embed::Embedding> made) {
      if (!made) return search->answer(base::fail(std::move(made.error())));
      SearchRequest with_vector = kept;
      with_vector.vector = std::move(made->vector);
      run(search, std::move(with_vector));
    });
    if (!status) search->answer(base::fail(status.error()));
  }
  return search;
}

void SearchService::run(const std::shared_ptr<Search>& search, SearchRequest request) {
  const bool queued = workers_.post([this, search, request = std::move(request)] {
    search->answer(pool_.search(to_sql(request, options_.vector_column, options_.distance)));
  });
  if (!queued)
    search->answer(base::fail(base::Code::kExhausted, "too many searches wait for a connection (connections)"));
}

}  // namespace payonce::retrieval
