# llhttp: C sources that are built into the room serve (src/serve/http/llhttp_*.c). Debian's package is node-llhttp;
# -DLLHTTP_SOURCE_DIR and -DLLHTTP_INCLUDE_DIR point elsewhere.
find_path(LLHTTP_SOURCE_DIR NAMES llhttp.c PATHS /usr/share/llhttp /usr/local/share/llhttp
          DOC "directory with llhttp's llhttp.c, api.c and http.c")
find_path(LLHTTP_INCLUDE_DIR NAMES llhttp.h PATHS /usr/share/include/llhttp /usr/local/include /usr/include
          DOC "directory with llhttp.h")
if(NOT LLHTTP_SOURCE_DIR OR NOT LLHTTP_INCLUDE_DIR)
  message(FATAL_ERROR "llhttp's C sources are missing: install the package node-llhttp (Debian), or set "
                      "LLHTTP_SOURCE_DIR and LLHTTP_INCLUDE_DIR")
endif()
# The parser's state functions are global and depend on the version: a list of them, renamed, is made here.
file(STRINGS ${LLHTTP_SOURCE_DIR}/llhttp.c lines REGEX "^ *int llhttp__internal__c_")
set(names "")
foreach(line IN LISTS lines)
  string(REGEX MATCH "llhttp__internal__c_[a-z_0-9]+" name "${line}")
  string(APPEND names "#define ${name} hone_${name}\n")
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/llhttp/llhttp_state_names.h CONTENT "${names}" @ONLY)
add_library(hone_llhttp INTERFACE)
target_include_directories(hone_llhttp SYSTEM INTERFACE ${LLHTTP_INCLUDE_DIR} ${LLHTTP_SOURCE_DIR}
                                                        ${PROJECT_BINARY_DIR}/llhttp)
