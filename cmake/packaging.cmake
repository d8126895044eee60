# What is installed where (./dev package, packaging/). `program` is what `cmake --install` and the tarball hold, below
# one prefix; `debian` is the same program with its service, where Debian's policy wants each file, and
# `debian_client` the C client for who compiles against it (the tarball's is sdk/c's component `client`).
include(GNUInstallDirs)

set(EXAMPLES ${PROJECT_SOURCE_DIR}/packaging/payonce.toml ${PROJECT_SOURCE_DIR}/packaging/payonce.example.toml
             ${PROJECT_SOURCE_DIR}/packaging/payonce.service)
set(DOCUMENTS ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md)

# payonce_packaged(files|folder NAMES… TO prefix/path [DEBIAN path]): the same in both layouts.
function(payonce_packaged KIND)
  cmake_parse_arguments(P "" "TO;DEBIAN" "" ${ARGN})
  if(NOT P_DEBIAN)
    set(P_DEBIAN usr/${P_TO})
  endif()
  if(KIND STREQUAL "folder")
    install(DIRECTORY ${P_UNPARSED_ARGUMENTS} DESTINATION ${P_TO} COMPONENT program)
    install(DIRECTORY ${P_UNPARSED_ARGUMENTS} DESTINATION ${P_DEBIAN} COMPONENT debian EXCLUDE_FROM_ALL)
  else()
    install(FILES ${P_UNPARSED_ARGUMENTS} DESTINATION ${P_TO} COMPONENT program)
    install(FILES ${P_UNPARSED_ARGUMENTS} DESTINATION ${P_DEBIAN} COMPONENT debian EXCLUDE_FROM_ALL)
  endif()
endfunction()

install(TARGETS payonce RUNTIME DESTINATION bin COMPONENT program)
install(TARGETS payonce RUNTIME DESTINATION usr/bin COMPONENT debian EXCLUDE_FROM_ALL)
payonce_packaged(files ${DOCUMENTS} TO share/doc/payonce)
payonce_packaged(files ${EXAMPLES} TO share/doc/payonce/examples)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION share/doc/payonce COMPONENT program)

# The embedder, where the program looks for it (src/embed/find_embedder.h); its licence, Apache-2.0, is ours.
set(PAYONCE_EMBEDDER_FILE "" CACHE FILEPATH "all-MiniLM-L6-v2.gguf for the packages; empty: they carry none")
if(PAYONCE_EMBEDDER_FILE)
  payonce_packaged(files ${PAYONCE_EMBEDDER_FILE} RENAME all-MiniLM-L6-v2.gguf TO share/payonce)
endif()

# Made of the built program, and only for packages: libraries that go with it, licences, bill of materials, manual.
if(PAYONCE_PORTABLE)
  set(CARRIED ${CMAKE_BINARY_DIR}/carried)
  set(MANUAL ${CMAKE_BINARY_DIR}/manual)
  get_property(ON_DEMAND GLOBAL PROPERTY PAYONCE_ON_DEMAND_LIBRARIES)
  add_custom_command(OUTPUT ${CARRIED}/payonce.cdx.json
    COMMAND python3 ${PROJECT_SOURCE_DIR}/packaging/carry.py ${CARRIED} --version ${PROJECT_VERSION}
            --program $<TARGET_FILE:payonce> --build ${CMAKE_BINARY_DIR} --llama ${LLAMA_DIR}
            "$<$<BOOL:${PAYONCE_EMBEDDER_FILE}>:--embedder;${PAYONCE_EMBEDDER_FILE}>" --on-demand ${ON_DEMAND}
    COMMAND_EXPAND_LISTS VERBATIM
    DEPENDS payonce ${PROJECT_SOURCE_DIR}/packaging/carry.py ${PROJECT_SOURCE_DIR}/packaging/sbom.py
            ${PROJECT_SOURCE_DIR}/docs/third-party.md)
  add_custom_command(OUTPUT ${MANUAL}/payonce.1.gz
    COMMAND python3 ${PROJECT_SOURCE_DIR}/packaging/manual.py ${MANUAL} $<TARGET_FILE:payonce>
    DEPENDS payonce ${PROJECT_SOURCE_DIR}/packaging/manual.py)
  add_custom_target(payonce_packaged ALL DEPENDS ${CARRIED}/payonce.cdx.json ${MANUAL}/payonce.1.gz)
  payonce_packaged(folder ${CARRIED}/engine/ TO lib/payonce)
  install(DIRECTORY ${CARRIED}/system/ DESTINATION lib/payonce COMPONENT program)
  install(DIRECTORY ${CARRIED}/system-licenses/ DESTINATION share/doc/payonce/licenses COMPONENT program)
  payonce_packaged(folder ${CARRIED}/licenses TO share/doc/payonce)
  payonce_packaged(files ${CARRIED}/payonce.cdx.json TO share/doc/payonce)
  payonce_packaged(files ${MANUAL}/payonce.1.gz TO share/man/man1)
  payonce_packaged(files ${MANUAL}/payonce.bash RENAME payonce TO share/bash-completion/completions)
  install(FILES ${MANUAL}/changelog.gz DESTINATION usr/share/doc/payonce COMPONENT debian EXCLUDE_FROM_ALL)
  install(FILES ${MANUAL}/changelog.gz DESTINATION usr/share/doc/libpayonce-client-dev COMPONENT debian_client
          EXCLUDE_FROM_ALL)
endif()

install(FILES ${PROJECT_SOURCE_DIR}/packaging/debian/copyright DESTINATION usr/share/doc/payonce COMPONENT debian
        EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/payonce.service DESTINATION usr/lib/systemd/system COMPONENT debian
        EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/payonce.toml DESTINATION etc/payonce COMPONENT debian EXCLUDE_FROM_ALL)

# The C client, static: programs take in 30 kB and need no package of ours to run.
set(DEBIAN_LIBDIR lib/${CMAKE_LIBRARY_ARCHITECTURE})
payonce_client_pkgconfig(${DEBIAN_LIBDIR} ${CMAKE_BINARY_DIR}/debian/payonce_client.pc)
install(TARGETS payonce_client ARCHIVE DESTINATION usr/${DEBIAN_LIBDIR} COMPONENT debian_client EXCLUDE_FROM_ALL)
install(FILES ${CMAKE_BINARY_DIR}/debian/payonce_client.pc DESTINATION usr/${DEBIAN_LIBDIR}/pkgconfig
        COMPONENT debian_client EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_SOURCE_DIR}/sdk/c/include/payonce.h DESTINATION usr/include COMPONENT debian_client
        EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_SOURCE_DIR}/sdk/c/examples/digits.c ${PROJECT_SOURCE_DIR}/sdk/c/README.md
        DESTINATION usr/share/doc/libpayonce-client-dev/examples COMPONENT debian_client EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/debian/copyright DESTINATION usr/share/doc/libpayonce-client-dev
        COMPONENT debian_client EXCLUDE_FROM_ALL)

set(CPACK_PACKAGE_NAME payonce)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_VENDOR "Payonce contributors")
set(CPACK_PACKAGE_CONTACT "Payonce contributors <payonce@localhost>")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_GENERATOR DEB)
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 0)
set(CPACK_COMPONENTS_ALL debian debian_client)
set(CPACK_COMPONENTS_GROUPING IGNORE)  # one package each
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGING_INSTALL_PREFIX "/")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE none)  # packaging/make.sh packs them, with one date for all files
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_DEBIAN_PACKAGE_NAME payonce)
set(CPACK_DEBIAN_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${LLAMA_DIR}/lib)
set(CPACK_DEBIAN_DEBIAN_PACKAGE_DEPENDS ca-certificates)
# What is loaded on demand is not seen by dpkg-shlibdeps.
foreach(LIBRARY IN LISTS ON_DEMAND)
  file(REAL_PATH ${LIBRARY} FILE)
  execute_process(COMMAND dpkg-query -S ${FILE} OUTPUT_VARIABLE OWNER COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX REPLACE ":.*" "" OWNER ${OWNER})
  string(APPEND CPACK_DEBIAN_DEBIAN_PACKAGE_DEPENDS ", ${OWNER}")
endforeach()
set(CPACK_COMPONENT_DEBIAN_DESCRIPTION "Caching gateway for large language models
Answers repeated requests of the OpenAI and Anthropic dialects from a cache
that keeps callers apart, and passes everything else through. Brings an inference
engine for GGUF files that chooses its code for the CPU at start.")
set(CPACK_DEBIAN_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/packaging/debian/conffiles
    ${PROJECT_SOURCE_DIR}/packaging/debian/postinst ${PROJECT_SOURCE_DIR}/packaging/debian/prerm
    ${PROJECT_SOURCE_DIR}/packaging/debian/postrm)

set(CPACK_DEBIAN_DEBIAN_CLIENT_PACKAGE_NAME libpayonce-client-dev)
set(CPACK_DEBIAN_DEBIAN_CLIENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEBIAN_CLIENT_PACKAGE_SUGGESTS payonce)
set(CPACK_COMPONENT_DEBIAN_CLIENT_DESCRIPTION "Agent API of Payonce for C and C++
One header and a static library that needs nothing beyond libc: lookups and
commits of plans, tool results and reports in a running Payonce. Without one
every lookup is a miss.")
include(CPack)
