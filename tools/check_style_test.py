"""Each rule fires on a tree that breaks it, and stays silent on one that does not."""

import pathlib
import tempfile
import unittest

import check_style

GOOD = {
    "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n### Added\n\n- The first part.\n",
    "src/base/CMakeLists.txt": "payonce_module(base\n  SOURCES text.cc\n  TESTS text_test.cc)\n",
    "src/base/README.md": "# base\n",
    "src/base/text.h": "#pragma once\n",
    "src/base/text.cc": '#include "base/text.h"\n\nint one() { return 1; }\n',
    "src/base/text_test.cc": '#include <string>\n\n#include "base/text.h"\n',
    "src/net/CMakeLists.txt": "payonce_module(net DEPENDS base)\n",
    "src/net/README.md": "# net\n",
    "src/net/loop.h": '#pragma once\n\n#include "base/text.h"\n',
    "src/payonce/CMakeLists.txt": "add_executable(payonce main.cc)\ntarget_link_libraries(payonce payonce_net)\n",
    "src/payonce/README.md": "# payonce\n",
    "src/payonce/main.cc": '#include "net/loop.h"\n\nint main() { return 0; }\n',
}


class Rules(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)

    def problems(self, changes=None, exceptions=None):
        for path, text in {**GOOD, **(changes or {})}.items():
            if text is not None:
                target = self.root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
        return check_style.check(check_style.Tree(self.root), exceptions or {})

    def rules(self, changes, exceptions=None):
        return [(each.rule, each.path) for each in self.problems(changes, exceptions)]

    def test_a_good_tree_has_no_problems(self):
        self.assertEqual(self.problems(), [])

    def test_a_function_over_the_limit_fires(self):
        body = "  call();\n" * check_style.MAX_FUNCTION_LINES
        changes = {"src/base/text.cc": "namespace payonce {\nvoid longest(int a) {\n" + body + "}\n}\n"}
        self.assertEqual(self.rules(changes), [("long-function", "src/base/text.cc")])

    def test_short_functions_in_a_long_class_do_not_fire(self):
        changes = {"src/base/text.h": "class A {\n public:\n" + "  int a() { return 1; }\n" * 100 + "};\n"}
        self.assertEqual(self.rules(changes), [])

    def test_braces_in_literals_and_comments_do_not_count(self):
        line = "  a(\"{\"); b('{'); c(R\"x({)x\");  // {\n"
        code = "void f() {\n" + line + "}\n/* { */\ntemplate <class T> int g(T t) {\n}\n"
        functions = check_style.functions_of(code)
        self.assertEqual(functions, [("f", 1, 3), ("g", 5, 6)])

    def test_a_file_over_the_limit_fires(self):
        changes = {"src/base/text.h": "int a;\n" * (check_style.MAX_FILE_LINES + 1)}
        self.assertEqual(self.rules(changes), [("long-file", "src/base/text.h")])

    def test_a_line_over_the_limit_fires_and_counts_characters(self):
        limit = check_style.MAX_LINE_CHARS
        changes = {"src/base/text.h": "// " + "ä" * (limit - 3) + "\n", "tools/x.py": "#" * (limit + 1) + "\n"}
        self.assertEqual(self.rules(changes), [("long-line", "tools/x.py")])

    def test_an_include_of_an_undeclared_module_fires(self):
        changes = {"src/base/text.h": '#include "net/loop.h"\n'}
        self.assertEqual(self.rules(changes), [("include-edge", "src/base/text.h")])

    def test_an_executable_includes_only_what_it_links(self):
        changes = {"src/payonce/main.cc": '#include "base/text.h"\n'}
        self.assertEqual(self.rules(changes), [("include-edge", "src/payonce/main.cc")])

    def test_tests_alone_ask_where_the_source_tree_is(self):
        include = '#include "source_tree/source_tree.h"\n'
        changes = {"src/source_tree/CMakeLists.txt": "payonce_module(source_tree)\n",
                   "src/source_tree/README.md": "# source_tree\n", "src/source_tree/source_tree.h": "#pragma once\n",
                   "src/base/text_test.cc": include, "src/base/text_fixture.h": include, "src/base/text.cc": include}
        self.assertEqual(self.rules(changes), [("include-edge", "src/base/text.cc")])

    def test_an_include_without_its_module_fires(self):
        changes = {"src/base/text.cc": '#include "text.h"\n'}
        self.assertEqual(self.rules(changes), [("include-edge", "src/base/text.cc")])

    def test_a_source_that_no_target_builds_fires(self):
        changes = {"src/base/other_text.cc": "int two() { return 2; }\n"}
        self.assertEqual(self.rules(changes), [("dead-file", "src/base/other_text.cc")])

    def test_two_types_of_one_name_in_a_namespace_fire(self):
        first = "#pragma once\n\nnamespace payonce {\n\nstruct Piece {\n  int a;\n};\n\n}\n"
        hidden = first.replace("struct", "namespace {\n\nstruct").replace("};\n", "};\n\n}  // namespace\n")
        self.assertEqual(self.rules({"src/base/text.h": first, "src/net/loop.h": first}),
                         [("one-name", "src/net/loop.h")])
        self.assertEqual(self.rules({"src/base/text.h": first, "src/net/loop.h": hidden}), [])

    def test_two_constants_of_one_name_in_a_namespace_fire(self):
        first = "#pragma once\n\nnamespace payonce {\n\ninline constexpr int kMost = 3;\n\n}\n"
        other = first.replace("int kMost = 3", "std::string_view kMost[] = {}")
        self.assertEqual(self.rules({"src/base/text.h": first, "src/net/loop.h": other}),
                         [("one-name", "src/net/loop.h")])
        ahead = "namespace payonce {\n\nclass Run;\n\n}\n\nnamespace payonce::net"
        elsewhere = first.replace("namespace payonce", ahead)
        self.assertEqual(self.rules({"src/base/text.h": first, "src/net/loop.h": elsewhere}), [])

    def test_a_function_that_hides_another_file_s_fires(self):
        header = "#pragma once\n\nnamespace payonce {\n\nvoid say(const std::string& text);\n\n}\n"
        hides = "namespace payonce {\nnamespace {\n\nvoid say(int n) {}\n\n}  // namespace\n}\n"
        fires = ("one-name", "src/net/loop.cc")
        self.assertNotIn(fires, self.rules({"src/base/run.h": header, "src/net/loop.cc": hides}))
        self.assertIn(fires, self.rules({"src/net/run.h": header, "src/net/loop.cc": hides}))
        self.assertIn(fires, self.rules({"src/net/a.cc": hides, "src/net/loop.cc": hides}))

    def test_a_folder_without_a_readme_fires(self):
        self.assertEqual(self.rules({"src/net/README.md": " \n"}), [("folder-readme", "src/net/README.md")])

    def test_a_registry_host_and_a_machine_path_fire(self):
        changes = {"docs/a.md": "see registry.npmjs.org\n", "docs/b.md": "in /work/main\n",
                   "docs/c.md": "in ~/work/main and a/work/b\n"}
        self.assertEqual(self.rules(changes), [("forbidden-word", "docs/a.md"), ("forbidden-word", "docs/b.md")])

    def test_a_changelog_without_unreleased_fires(self):
        changes = {"CHANGELOG.md": "# Changelog\n\n## 0.1\n\n### Added\n\n- a\n"}
        self.assertEqual(self.rules(changes), [("changelog", "CHANGELOG.md")])

    def test_changelog_sections_have_known_names_an_order_and_entries(self):
        for sections in ("### Improved\n\n- a\n", "### Fixed\n\n- a\n\n### Added\n\n- b\n", "### Added\n\nnothing\n"):
            changes = {"CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n" + sections}
            self.assertEqual(self.rules(changes), [("changelog", "CHANGELOG.md")], sections)

    def test_a_metric_that_is_not_documented_fires_until_the_page_is_written(self):
        table = 'const Info kTable[] = {\n    {"payonce_a_total", "counter", "layer",\n     "One " "text."},\n};\n'
        changes = {"src/base/metrics.cc": table,
                   "src/base/CMakeLists.txt": "payonce_module(base SOURCES text.cc metrics.cc TESTS text_test.cc)\n"}
        self.assertEqual(self.rules(changes), [("metrics-doc", check_style.METRICS_DOC)])
        page = check_style.metrics_document(check_style.Tree(self.root))
        self.assertIn("| `payonce_a_total` | counter | `layer` | One text. |", page)
        self.assertEqual(self.rules({**changes, check_style.METRICS_DOC: page}), [])

    def test_a_metric_row_that_cannot_be_read_fires(self):
        changes = {"src/base/metrics.cc": '{"payonce_a_total", kCounter, "", "Text."}\n',
                   "src/base/CMakeLists.txt": "payonce_module(base SOURCES text.cc metrics.cc TESTS text_test.cc)\n"}
        self.assertIn(("metrics-doc", "src/base/metrics.cc"), self.rules(changes))

    def test_a_claim_leads_to_a_row_and_shows_its_figure(self):
        page = '# Benchmarks\n\n| goal | wanted | measured | verdict |\n|---|---|---|---|\n' \
               '| <a id="hits"></a>hits | ≥ 0.8 | 0.84 × (0.8 – 1.3) | met |\n'
        for claim, wrong in (("[0.84 ×](docs/benchmarks.md#hits)", []), ("[more](docs/benchmarks.md#benchmarks)", []),
                             ("[0.85 ×](docs/benchmarks.md#hits)", [("claim", "README.md")]),
                             ("[1.3 ×](docs/benchmarks.md#hits)", [("claim", "README.md")]),
                             ("[0.84 ×](docs/benchmarks.md#hit)", [("claim", "README.md")])):
            changes = {"docs/benchmarks.md": page, "README.md": f"Hits: {claim}.\n"}
            self.assertEqual(self.rules(changes), wrong, claim)

    def test_an_exception_covers_its_problem_and_is_a_problem_when_unused(self):
        changes = {"src/base/text.h": "int a;\n" * (check_style.MAX_FILE_LINES + 1)}
        exceptions = {("long-file", "src/base/text.h"): "one table"}
        self.assertEqual(self.rules(changes, exceptions), [])
        changes["src/base/text.h"] = "#pragma once\n"
        self.assertEqual(self.rules(changes, exceptions), [("unused-exception", "tools/check_style.py")])


if __name__ == "__main__":
    unittest.main()
