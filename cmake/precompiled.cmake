# Headers that most files include, parsed once for all modules and once for all tests (PAYONCE_PRECOMPILE): a file
# costs the TSan build a fifth less. For g++ alone: clang is told of them by absolute paths, which would spoil ccache
# in another clone. None that asks for code of its own library (asio) in every file.
#   payonce_precompile(TARGET modules|tests)
function(payonce_precompiled KIND)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/precompiled_${KIND}.cc CONTENT "// Generated: a target needs a source.\n")
  add_library(payonce_precompiled_${KIND} OBJECT ${CMAKE_BINARY_DIR}/precompiled_${KIND}.cc)
  target_link_libraries(payonce_precompiled_${KIND} PRIVATE payonce_precompiled_from payonce_warnings)
  target_precompile_headers(payonce_precompiled_${KIND} PRIVATE
    <algorithm> <atomic> <chrono> <cstdint> <functional> <map> <memory> <mutex> <optional> <span> <string>
    <string_view> <unordered_map> <utility> <variant> <vector> <boost/json.hpp> <fmt/format.h> <tl/expected.hpp>
    ${ARGN})
endfunction()

if(PAYONCE_PRECOMPILE)
  # Every target that uses the headers has the definitions that they were parsed with.
  add_library(payonce_precompiled_from INTERFACE)
  target_link_libraries(payonce_precompiled_from INTERFACE fmt::fmt tl::expected payonce::boost)
  target_compile_options(payonce_precompiled_from INTERFACE -fpch-preprocess)  # so that ccache sees what is in them
  payonce_precompiled(modules)
  if(PAYONCE_TESTS)
    payonce_precompiled(tests <gmock/gmock.h> <gtest/gtest.h> <rapidcheck.h>)
    target_link_libraries(payonce_precompiled_tests PRIVATE GTest::gmock GTest::gtest payonce::rapidcheck)
  endif()
endif()

function(payonce_precompile TARGET KIND)
  if(PAYONCE_PRECOMPILE)
    target_link_libraries(${TARGET} PRIVATE payonce_precompiled_from)
    target_precompile_headers(${TARGET} REUSE_FROM payonce_precompiled_${KIND})
  endif()
endfunction()
