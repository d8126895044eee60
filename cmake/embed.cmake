# payonce_embed(OUT_SOURCES NAMESPACE NAME FILE): compiles FILE's bytes into `std::string_view NAME()` of payonce::NAMESPACE,
# so that the binary needs no data files beside it. OUT_SOURCES receives the generated source.
function(payonce_embed OUT NAMESPACE NAME FILE)
  set(SOURCE ${CMAKE_CURRENT_BINARY_DIR}/embedded_${NAME}.cc)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${FILE})
  file(READ ${CMAKE_CURRENT_SOURCE_DIR}/${FILE} HEX HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," BYTES "${HEX}")
  file(CONFIGURE OUTPUT ${SOURCE} CONTENT [[// Generated from @FILE@.
#include <string_view>
namespace payonce::@NAMESPACE@ {
static constexpr unsigned char kBytes[] = {@BYTES@ 0};
std::string_view @NAME@();
std::string_view @NAME@() { return {reinterpret_cast<const char*>(kBytes), sizeof kBytes - 1}; }
}
]] @ONLY)
  set(${OUT} ${${OUT}} ${SOURCE} PARENT_SCOPE)
endfunction()
