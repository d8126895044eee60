// A finished request as JSON: an event of the live list, a row of GET /payonce/v1/requests.  Threads: pure.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "dashboard/recent_requests.h"

namespace payonce::dashboard {

boost::json::object request_json(const RecentRequest& request);
// The last hour, minute by minute, with how long Payonce itself took.
boost::json::object last_hour_json(const LastHour& hour, int64_t now_ms);
boost::json::object minute_json(const LastHour::Minute& minute);

}  // namespace payonce::dashboard
