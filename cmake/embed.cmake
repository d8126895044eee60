# payonce_embed(OUT_SOURCES NAMESPACE NAME FILE): compiles FILE's bytes into `std::string_view NAME()` of
# payonce::NAMESPACE, so that the binary needs no data files beside it. OUT_SOURCES receives the generated source.
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

# payonce_embed_files(OUT_SOURCES NAMESPACE NAME FILES…): the same for several files; NAME() gives (file name, text)
# pairs, to be declared by the module as `std::span<const std::pair<std::string_view, std::string_view>> NAME();`
function(payonce_embed_files OUT NAMESPACE NAME)
  set(SOURCE ${CMAKE_CURRENT_BINARY_DIR}/embedded_${NAME}.cc)
  set(ARRAYS "")
  set(ROWS "")
  set(INDEX 0)
  foreach(FILE IN LISTS ARGN)
    get_filename_component(FILE ${FILE} ABSOLUTE)  # one name for a file that two modules embed
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${FILE})
    file(READ ${FILE} HEX HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," BYTES "${HEX}")
    get_filename_component(FILE_NAME ${FILE} NAME)
    string(APPEND ARRAYS "static constexpr unsigned char kFile${INDEX}[] = {${BYTES} 0};\n")
    set(TEXT "reinterpret_cast<const char*>(kFile${INDEX}), sizeof kFile${INDEX} - 1")
    string(APPEND ROWS "    {\"${FILE_NAME}\", {${TEXT}}},\n")
    math(EXPR INDEX "${INDEX} + 1")
  endforeach()
  file(CONFIGURE OUTPUT ${SOURCE} CONTENT [[// Generated.
#include <span>
#include <string_view>
#include <utility>
namespace payonce::@NAMESPACE@ {
@ARRAYS@
std::span<const std::pair<std::string_view, std::string_view>> @NAME@();
std::span<const std::pair<std::string_view, std::string_view>> @NAME@() {
  static const std::pair<std::string_view, std::string_view> kFiles[] = {
@ROWS@  };
  return kFiles;
}
}
]] @ONLY)
  set(${OUT} ${${OUT}} ${SOURCE} PARENT_SCOPE)
endfunction()
