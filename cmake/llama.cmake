# ggml, libllama (vocabulary, sampling grammar) and llama.cpp's common library (chat templates, JSON schema → grammar),
# all static, of one pinned commit. tools/build_llama.sh makes them once for this CPU and keeps them in the cache
# directory.
#   payonce::ggml    tensors and their back ends
#   payonce::llama   the rest
set(PAYONCE_LLAMA_DIR "" CACHE PATH "DIR with include/ and lib/ of llama.cpp; empty: built by tools/build_llama.sh")
set(LLAMA_DIR "${PAYONCE_LLAMA_DIR}")
if(NOT LLAMA_DIR)
  set(LLAMA_VARIANT libs)
  if(PAYONCE_SANITIZE MATCHES "thread")
    set(LLAMA_VARIANT tsan)
  endif()
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/tools/build_llama.sh ${LLAMA_VARIANT}
                  OUTPUT_VARIABLE LLAMA_DIR OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE LLAMA_FAILED)
  if(LLAMA_FAILED)
    message(FATAL_ERROR "llama.cpp could not be built, see above. Give a build of your own with -DPAYONCE_LLAMA_DIR=DIR, "
                        "or a checkout with PAYONCE_LLAMA_SOURCE=DIR.")
  endif()
endif()

function(payonce_llama_target NAME)
  set(FILES "")
  foreach(LIBRARY IN LISTS ARGN)
    if(NOT EXISTS ${LLAMA_DIR}/lib/lib${LIBRARY}.a)
      message(FATAL_ERROR "Missing dependency: ${LLAMA_DIR}/lib/lib${LIBRARY}.a. Run tools/build_llama.sh libs.")
    endif()
    list(APPEND FILES ${LLAMA_DIR}/lib/lib${LIBRARY}.a)
  endforeach()
  add_library(payonce_third_${NAME} INTERFACE)
  target_include_directories(payonce_third_${NAME} SYSTEM INTERFACE ${LLAMA_DIR}/include)
  target_link_libraries(payonce_third_${NAME} INTERFACE -Wl,--start-group ${FILES} -Wl,--end-group)
  add_library(payonce::${NAME} ALIAS payonce_third_${NAME})
endfunction()

file(GLOB GGML_LIBRARIES ${LLAMA_DIR}/lib/libggml*.a)
list(TRANSFORM GGML_LIBRARIES REPLACE ".*/lib(ggml[^/]*)\\.a" "\\1")
payonce_llama_target(ggml ${GGML_LIBRARIES})
target_link_libraries(payonce_third_ggml INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)
payonce_llama_target(llama llama-common llama-common-base llama cpp-httplib)
target_link_libraries(payonce_third_llama INTERFACE payonce_third_ggml)
