# hone_package(NAME MODULE…): a package that pkg-config knows, as the target PkgConfig::NAME; who links the static library
# needs it too, so the installed CMake package (HONE_CONFIG_PACKAGES) and hone.pc (HONE_LINK_NAMES) name it.
find_package(PkgConfig REQUIRED)
set(HONE_CONFIG_PACKAGES "")
set(HONE_LINK_NAMES "")

macro(hone_package name)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${ARGN})
  string(REPLACE ";" " " modules "${ARGN}")
  string(APPEND HONE_CONFIG_PACKAGES "  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${modules})\n")
  list(APPEND HONE_LINK_NAMES ${${name}_LIBRARIES})
endmacro()
