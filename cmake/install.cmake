# libhone as one static and one shared library of all rooms; headers, pkg-config file and CMake package.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(objects "")
foreach(room ${HONE_ROOMS})
  list(APPEND objects $<TARGET_OBJECTS:hone_${room}_objects>)
endforeach()
set(libs Threads::Threads m ZLIB::ZLIB PkgConfig::PROTOBUF_C PkgConfig::LIBZIP PkgConfig::JANSSON PkgConfig::LIBEVENT)

foreach(kind static shared)
  string(TOUPPER ${kind} KIND)
  add_library(hone_${kind} ${KIND} ${objects})
  set_target_properties(hone_${kind} PROPERTIES OUTPUT_NAME hone)
  target_include_directories(hone_${kind} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                 $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  if(kind STREQUAL "static")
    target_link_libraries(hone_static PUBLIC ${libs})
  else()
    target_link_libraries(hone_shared PRIVATE ${libs})
  endif()
endforeach()
set_target_properties(hone_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)
