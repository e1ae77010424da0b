# Tests mirror src/: tests/ROOM/test_NAME.c, or tests/ROOM/FOLDER/test_NAME.c, is one cmocka program, linked against that
# room and the rooms it uses. tests/api and tests/cli link the whole library.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

file(GLOB support CONFIGURE_DEPENDS tests/support/*.c)

function(hone_test_room room)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${room}/test_*.c
                                      ${PROJECT_SOURCE_DIR}/tests/${room}/*/test_*.c)
  foreach(source ${sources})
    get_filename_component(stem ${source} NAME_WE)
    file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR}/tests ${source})
    string(REGEX REPLACE "\\.c$" "" name ${name})
    set(target ${room}_${stem})
    add_executable(${target} ${source} ${support})
    target_include_directories(${target} PRIVATE src include tests)
    target_compile_definitions(${target} PRIVATE HONE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    if(room MATCHES "^(base|kernels|image|text|data|monitor)$")
      target_link_libraries(${target} PRIVATE hone_${room})
    else()
      target_link_libraries(${target} PRIVATE hone_static)
    endif()
    target_link_libraries(${target} PRIVATE PkgConfig::CMOCKA)
    add_test(NAME ${name} COMMAND ${target})
    set_tests_properties(${name} PROPERTIES TIMEOUT 300)
    if(CMAKE_CROSSCOMPILING_EMULATOR)
      set_tests_properties(${name} PROPERTIES TIMEOUT 3000 SKIP_RETURN_CODE 77)
    endif()
  endforeach()
endfunction()

foreach(room base kernels graph ops onnx runtime)
  hone_test_room(${room})
endforeach()
if(HONE_PARTS STREQUAL "inference")
  return()
endif()
foreach(room image text import lm data train compress monitor explain serve)
  hone_test_room(${room})
endforeach()

# bench/bench_NAME.c: one program each, against the whole library and its inner headers.
file(GLOB benches CONFIGURE_DEPENDS bench/bench_*.c)
foreach(source ${benches})
  get_filename_component(stem ${source} NAME_WE)
  add_executable(${stem} ${source} tests/support/levels.c)
  target_include_directories(${stem} PRIVATE src include tests)
  target_link_libraries(${stem} PRIVATE hone_static)
  set_target_properties(${stem} PROPERTIES BUILD_RPATH "$ORIGIN") # for libhone_mpi.so
endforeach()

# bench/serve/NAME.c: helpers of bench/serve/run.py, which stand alone.
file(GLOB helpers CONFIGURE_DEPENDS bench/serve/*.c)
foreach(source ${helpers})
  get_filename_component(stem ${source} NAME_WE)
  add_executable(bench_${stem} ${source})
  target_link_libraries(bench_${stem} PRIVATE Threads::Threads)
endforeach()

# fuzz/fuzz_NAME.c: with libFuzzer when HONE_FUZZ, else linked with fuzz/replay.c, which runs the corpus
# fuzz/corpus/NAME/ as a test.
file(GLOB fuzzers CONFIGURE_DEPENDS fuzz/fuzz_*.c)
foreach(source ${fuzzers})
  get_filename_component(stem ${source} NAME_WE)
  string(REPLACE "fuzz_" "" name ${stem})
  if(HONE_FUZZ)
    add_executable(${stem} ${source})
    target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${stem} ${source} fuzz/replay.c)
    add_test(NAME fuzz/${name} COMMAND ${stem} ${PROJECT_SOURCE_DIR}/fuzz/corpus/${name})
  endif()
  target_include_directories(${stem} PRIVATE src include)
  target_link_libraries(${stem} PRIVATE hone_static)
endforeach()

include(cmake/scripts.cmake)
