# Tests that are scripts: tests/cli/test_*.sh run the command, tests/house/check_* the rules of the house, and
# tests/*/peer_* other people's programs, tests/builds/ builds for other machines. They get their surroundings from the environment and exit with 77 when
# something they need is not there. tests/cli/soak_*.sh take long: `ctest -L long`.
set(script_env HONE=$<TARGET_FILE:hone_cli> HONE_BUILD=${PROJECT_BINARY_DIR} HONE_SOURCE=${PROJECT_SOURCE_DIR}
               CC=${CMAKE_C_COMPILER})

function(hone_script_test name script)
  cmake_parse_arguments(S "" "LABEL" "ARGS" ${ARGN})
  add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -E env ${script_env} ${script} ${S_ARGS})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
  if(S_LABEL)
    set_tests_properties(${name} PROPERTIES LABELS ${S_LABEL} TIMEOUT 3600)
  endif()
endfunction()

file(GLOB scripts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/cli/test_*.sh)
foreach(script ${scripts})
  get_filename_component(stem ${script} NAME_WE)
  hone_script_test(cli/${stem} ${script})
endforeach()

# What neither a sanitizer nor the speed of the code can change.
if(NOT HONE_SANITIZE)
  file(GLOB checks CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/house/check_*)
  foreach(script ${checks})
    get_filename_component(stem ${script} NAME_WE)
    hone_script_test(house/${stem} ${script} ARGS ${PROJECT_BINARY_DIR})
  endforeach()
  file(GLOB scripts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/cli/once_*.sh)
  foreach(script ${scripts})
    get_filename_component(stem ${script} NAME_WE)
    hone_script_test(cli/${stem} ${script})
  endforeach()
  file(GLOB scripts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/cli/soak_*.sh)
  foreach(script ${scripts})
    get_filename_component(stem ${script} NAME_WE)
    hone_script_test(cli/${stem} ${script} LABEL long)
  endforeach()
  # Other builds: tests/builds/build.sh KIND.
  foreach(kind inference aarch64)
    hone_script_test(builds/${kind} ${PROJECT_SOURCE_DIR}/tests/builds/build.sh LABEL long ARGS ${kind})
    set_tests_properties(builds/${kind} PROPERTIES RUN_SERIAL TRUE)
  endforeach()
endif()
