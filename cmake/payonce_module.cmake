# payonce_module(NAME [SOURCES …] [DEPENDS modules…] [LIBRARIES targets…] [TESTS x_test.cc…] [TEST_LIBRARIES …]
#                [ONE_THREAD])
#
# One folder = one namespace = one target = one test label. A module gets an include root of its own, which holds
# links to the headers of its folder alone, and the include roots of the modules that it names. So an undeclared
# include does not compile, and since DEPENDS must name modules declared earlier, there are no circles.
# ONE_THREAD: its tests start no thread, so the build with ThreadSanitizer, which would tell nothing, goes without.
function(payonce_module NAME)
  cmake_parse_arguments(M "ONE_THREAD" "" "SOURCES;DEPENDS;LIBRARIES;TESTS;TEST_LIBRARIES" ${ARGN})
  if(M_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "payonce_module(${NAME}): unknown arguments: ${M_UNPARSED_ARGUMENTS}")
  endif()
  string(REPLACE "/" "_" ID ${NAME})
  set(TARGET payonce_${ID})
  set(ROOT ${CMAKE_BINARY_DIR}/include/${ID})
  file(REMOVE_RECURSE ${ROOT})
  file(MAKE_DIRECTORY ${ROOT}/${NAME})
  file(GLOB HEADERS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.h)
  foreach(HEADER IN LISTS HEADERS)
    get_filename_component(FILE ${HEADER} NAME)
    file(CREATE_LINK ${HEADER} ${ROOT}/${NAME}/${FILE} SYMBOLIC)
  endforeach()

  if(M_SOURCES)
    set(SCOPE PUBLIC)
    add_library(${TARGET} STATIC ${M_SOURCES})
    target_link_libraries(${TARGET} PRIVATE payonce_warnings)
  else()
    set(SCOPE INTERFACE)
    add_library(${TARGET} INTERFACE)
  endif()
  target_include_directories(${TARGET} ${SCOPE} ${ROOT})
  target_link_libraries(${TARGET} ${SCOPE} ${M_LIBRARIES})
  foreach(DEPENDENCY IN LISTS M_DEPENDS)
    string(REPLACE "/" "_" DEPENDENCY_ID ${DEPENDENCY})
    if(NOT TARGET payonce_${DEPENDENCY_ID})
      message(FATAL_ERROR "module '${NAME}' names '${DEPENDENCY}', which is declared later or not at all: "
                          "dependencies point one way, see the order in CMakeLists.txt")
    endif()
    target_link_libraries(${TARGET} ${SCOPE} payonce_${DEPENDENCY_ID})
  endforeach()

  if(M_ONE_THREAD AND PAYONCE_SANITIZE MATCHES "thread")
    return()
  endif()
  if(M_TESTS AND PAYONCE_TESTS)
    add_executable(${TARGET}_test ${M_TESTS})
    target_link_libraries(${TARGET}_test PRIVATE ${TARGET} payonce_warnings GTest::gtest_main GTest::gmock
                                                 payonce::rapidcheck ${M_TEST_LIBRARIES})
    gtest_discover_tests(${TARGET}_test TEST_PREFIX "${NAME}." DISCOVERY_TIMEOUT 60
                         PROPERTIES LABELS ${ID} TIMEOUT 240)
  endif()
endfunction()

# Definitions that hold paths, for the test files that read them alone: no other is compiled anew in another clone.
function(payonce_test_paths DEFINITIONS)
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_DEFINITIONS "${DEFINITIONS}")
endfunction()
