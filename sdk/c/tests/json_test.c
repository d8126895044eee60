/* Reading one member of an object, and that nothing which is no JSON is taken for some. */
#include "json.h"

#include "check.h"

static int member(const char* text, const char* name, pc_span* out) {
  return pc_json_member(text, strlen(text), name, out);
}

static void expect_member(const char* text, const char* name, const char* wanted) {
  pc_span found;
  CHECK(member(text, name, &found) == 0);
  CHECK(found.at != NULL && found.size == strlen(wanted) && memcmp(found.at, wanted, found.size) == 0);
}

static void members_are_found_as_they_are_spelled(void) {
  expect_member("{\"a\":1,\"value\": { \"x\" : [1, 2.50e+3, \"\\u00e9\"] } ,\"b\":null}", "value",
                "{ \"x\" : [1, 2.50e+3, \"\\u00e9\"] }");
  expect_member(" {\"status\":\"hit\"}\n", "status", "\"hit\"");
  expect_member("{\"a\":{\"value\":1},\"value\":false}", "value", "false");
  expect_member("{\"value\":1,\"value\":2}", "value", "2");
  expect_member("{\"a\":-0.5E-7}", "a", "-0.5E-7");
  pc_span found;
  CHECK(member("{}", "value", &found) == 0 && found.at == NULL);
  CHECK(member("{\"a\":\"value\"}", "value", &found) == 0 && found.at == NULL);
}

static void what_is_no_json_object_is_refused(void) {
  static const char* const kBad[] = {"",
                                     " ",
                                     "{",
                                     "}",
                                     "[]",
                                     "1",
                                     "{\"a\"}",
                                     "{\"a\":}",
                                     "{\"a\":1,}",
                                     "{\"a\":01}",
                                     "{\"a\":1.}",
                                     "{\"a\":+1}",
                                     "{\"a\":.5}",
                                     "{\"a\":tru}",
                                     "{a:1}",
                                     "{\"a\":\"}",
                                     "{\"a\":\"\\x\"}",
                                     "{\"a\":1}x",
                                     "{\"a\":1 2}",
                                     "{\"a\":[1,]}",
                                     "{\"a\":[1}",
                                     "{\"a\":\"\\u12g4\"}",
                                     "{\"a\":\"\n\"}",
                                     "{\"a\":\"\\",
                                     "{\"a\":NaN}",
                                     "{\"a\":1e}",
                                     "{,}"};
  for (size_t i = 0; i < sizeof kBad / sizeof *kBad; i++) {
    pc_span found;
    if (member(kBad[i], "a", &found) == 0) {
      (void)fprintf(stderr, "taken for JSON: %s\n", kBad[i]);
      exit(1);
    }
  }
}

static void every_cut_of_a_text_is_refused(void) {
  static const char kText[] = "{\"status\":\"hit\",\"value\":{\"a\":[1,-2.5e3,\"x\\u0041\",true,null]}}";
  for (size_t size = 0; size + 1 < sizeof kText; size++) {
    char* cut = malloc(size + 1); /* of its own, so that a sanitizer sees a byte too far */
    memcpy(cut, kText, size);
    pc_span found;
    CHECK(pc_json_member(cut, size, "value", &found) == -1);
    free(cut);
  }
}

static void depth_is_bounded(void) {
  enum { kDepth = 100000 };
  char* text = malloc(kDepth + 6);
  memcpy(text, "{\"a\":", 5);
  memset(text + 5, '[', kDepth);
  pc_span found;
  CHECK(pc_json_member(text, kDepth + 5, "a", &found) == -1);
  free(text);
}

static void expect_text(const char* json, const char* wanted) {
  const pc_span span = {json, strlen(json)};
  char* text = pc_json_text(span);
  if (wanted == NULL) {
    CHECK(text == NULL);
  } else {
    CHECK_TEXT(text, wanted);
  }
  free(text);
}

static void strings_are_decoded(void) {
  expect_text("\"plain\"", "plain");
  expect_text("\"\"", "");
  expect_text("\"a\\\"b\\\\c\\/d\\b\\f\\n\\r\\t\"", "a\"b\\c/d\b\f\n\r\t");
  expect_text("\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"", "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  expect_text("\"\\u0000\"", NULL);
  expect_text("\"\\ud83d\"", NULL);
  expect_text("\"\\ude00\"", NULL);
  expect_text("\"\\ud83dx\"", NULL);
  expect_text("\"\\ud83d\\u0041\"", NULL);
  expect_text("12", NULL);
  expect_text("\"open", NULL);
}

static void strings_are_written(void) {
  pc_buffer out = {NULL, 0, 0};
  CHECK(pc_json_append_string(&out, "a\"b\\c\n\x01\xC3\xA9") == 0);
  CHECK(pc_append(&out, "", 1) == 0);
  CHECK_TEXT(out.data, "\"a\\\"b\\\\c\\u000a\\u0001\xC3\xA9\"");
  pc_free(&out);
}

int main(void) {
  members_are_found_as_they_are_spelled();
  what_is_no_json_object_is_refused();
  every_cut_of_a_text_is_refused();
  depth_is_bounded();
  strings_are_decoded();
  strings_are_written();
  return 0;
}
