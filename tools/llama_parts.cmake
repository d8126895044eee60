# Leaves out of llama.cpp's common library what no code of ours reaches: its command line, its downloads, its presets.
# That is an eighth of the compilers' work. tools/build_llama.sh has llama.cpp's project() include this, and
# llama-server, which needs all of it, is built without.
function(payonce_leave_out)
  get_target_property(SOURCES llama-common SOURCES)
  list(REMOVE_ITEM SOURCES arg.cpp console.cpp debug.cpp download.cpp hf-cache.cpp imatrix-loader.cpp llguidance.cpp
                           preset.cpp subproc.cpp)
  set_property(TARGET llama-common PROPERTY SOURCES ${SOURCES})
  foreach(PROPERTY IN ITEMS LINK_LIBRARIES INTERFACE_LINK_LIBRARIES)
    get_target_property(LIBRARIES llama-common ${PROPERTY})
    list(REMOVE_ITEM LIBRARIES cpp-httplib "$<LINK_ONLY:cpp-httplib>")
    set_property(TARGET llama-common PROPERTY ${PROPERTY} ${LIBRARIES})
  endforeach()
endfunction()
cmake_language(DEFER CALL payonce_leave_out)
