# libhone as one static and one shared library of all rooms; headers, pkg-config file and CMake package.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(objects "")
foreach(room ${HONE_ROOMS})
  list(APPEND objects $<TARGET_OBJECTS:hone_${room}_objects>)
endforeach()

foreach(kind static shared)
  string(TOUPPER ${kind} KIND)
  add_library(hone_${kind} ${KIND} ${objects})
  set_target_properties(hone_${kind} PROPERTIES OUTPUT_NAME hone)
  target_include_directories(hone_${kind} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                 $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  if(kind STREQUAL "static")
    target_link_libraries(hone_static PUBLIC ${HONE_LIBS})
  else()
    target_link_libraries(hone_shared PRIVATE ${HONE_LIBS})
  endif()
endforeach()
set_target_properties(hone_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0 BUILD_RPATH "$ORIGIN"
                                             INSTALL_RPATH "$ORIGIN")

# What training on several machines needs (base/ranks.h), beside the library, which loads it when mpirun started the process.
option(HONE_MPI "build libhone_mpi.so where MPI is" ON)
if(HONE_MPI AND HONE_PARTS STREQUAL "all")
  find_package(MPI QUIET COMPONENTS C)
endif()
if(MPI_C_FOUND)
  add_library(hone_mpi MODULE src/mpi/ranks.c)
  target_include_directories(hone_mpi PRIVATE include src)
  target_link_libraries(hone_mpi PRIVATE MPI::MPI_C)
  install(TARGETS hone_mpi LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

# hone::hone is the shared library and needs nothing else at build time; hone::static, a component of the package,
# brings what it stands on.
set_target_properties(hone_shared PROPERTIES EXPORT_NAME hone)
set_target_properties(hone_static PROPERTIES EXPORT_NAME static)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/hone)
install(TARGETS hone_shared EXPORT honeTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS hone_static EXPORT honeStaticTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT honeTargets NAMESPACE hone:: DESTINATION ${package})
install(EXPORT honeStaticTargets NAMESPACE hone:: DESTINATION ${package})
set(headers "*.h")
if(HONE_PARTS STREQUAL "inference")
  set(headers arrays.h energy.h error.h graph.h log.h ranks.h session.h tensor.h version.h)
endif()
list(TRANSFORM headers PREPEND "PATTERN;")
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/hone DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING ${headers})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/honeConfig.cmake.in ${PROJECT_BINARY_DIR}/honeConfig.cmake
                              INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/honeConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/honeConfig.cmake ${PROJECT_BINARY_DIR}/honeConfigVersion.cmake
        DESTINATION ${package})

list(REMOVE_DUPLICATES HONE_LINK_NAMES)
list(TRANSFORM HONE_LINK_NAMES PREPEND "-l")
string(REPLACE ";" " " HONE_LINK_NAMES "${HONE_LINK_NAMES}")
# The prefix is told from where the file lies, so an installed tree can be moved.
file(RELATIVE_PATH to_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${CMAKE_CURRENT_LIST_DIR}/hone.pc.in ${PROJECT_BINARY_DIR}/hone.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/hone.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
