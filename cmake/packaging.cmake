# The .deb and the tarball (./dev package). `program` is what `cmake --install` and the tarball hold, below one
# prefix; `debian` is the same program with its service, where Debian's policy wants each file.
include(GNUInstallDirs)

set(DOCUMENTS ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/CHANGELOG.md)
set(CONFIG ${PROJECT_SOURCE_DIR}/packaging/payonce.toml)
set(SERVICE ${PROJECT_SOURCE_DIR}/packaging/payonce.service)

install(TARGETS payonce RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(FILES ${DOCUMENTS} DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
# llama.cpp's libraries and ggml's code for each generation of CPUs, where the program looks for them.
if(PAYONCE_PORTABLE)
  install(DIRECTORY ${LLAMA_DIR}/licenses DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
  install(DIRECTORY ${LLAMA_DIR}/licenses DESTINATION usr/share/doc/payonce COMPONENT debian EXCLUDE_FROM_ALL)
  file(GLOB LLAMA_RUNTIME ${LLAMA_DIR}/lib/*.so.* ${LLAMA_DIR}/backends/*.so)
  install(PROGRAMS ${LLAMA_RUNTIME} DESTINATION lib/payonce COMPONENT program)
  install(PROGRAMS ${LLAMA_RUNTIME} DESTINATION usr/lib/payonce COMPONENT debian EXCLUDE_FROM_ALL)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${LLAMA_DIR}/lib)
endif()
# The embedder, where the program looks for it (src/embed/find_embedder.h); its licence, Apache-2.0, is ours.
set(PAYONCE_EMBEDDER_FILE "" CACHE FILEPATH "all-MiniLM-L6-v2.gguf for the packages; empty: they carry none")
if(PAYONCE_EMBEDDER_FILE)
  set(EMBEDDER ${PAYONCE_EMBEDDER_FILE} RENAME all-MiniLM-L6-v2.gguf)
  install(FILES ${EMBEDDER} DESTINATION share/payonce COMPONENT program)
  install(FILES ${EMBEDDER} DESTINATION usr/share/payonce COMPONENT debian EXCLUDE_FROM_ALL)
endif()
install(FILES ${CONFIG} ${SERVICE} DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT program)

install(TARGETS payonce RUNTIME DESTINATION usr/bin COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${DOCUMENTS} DESTINATION usr/share/doc/payonce COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE RENAME copyright DESTINATION usr/share/doc/payonce COMPONENT debian
        EXCLUDE_FROM_ALL)
install(FILES ${SERVICE} DESTINATION usr/lib/systemd/system COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${CONFIG} DESTINATION etc/payonce COMPONENT debian EXCLUDE_FROM_ALL)

set(CPACK_PACKAGE_NAME payonce)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_VENDOR "Payonce contributors")
set(CPACK_PACKAGE_CONTACT "Payonce contributors <payonce@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Caching gateway for large language models")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 0)
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/packaging_generator.cmake)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_COMPONENT_INCLUDE_TOPLEVEL_DIRECTORY ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS ca-certificates)
set(CPACK_PACKAGE_DESCRIPTION "Answers repeated requests of the OpenAI and Anthropic dialects from a cache that
keeps callers apart, and passes everything else through.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/packaging/debian/conffiles
    ${PROJECT_SOURCE_DIR}/packaging/debian/postinst ${PROJECT_SOURCE_DIR}/packaging/debian/prerm
    ${PROJECT_SOURCE_DIR}/packaging/debian/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
