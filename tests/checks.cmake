# Checks that are no GoogleTest programs: layers, exports, public headers, and the installed package. They carry the label
# "check". A sanitized build leaves out those that say nothing about it.
find_package(Python3 COMPONENTS Interpreter)

function(mo_add_check name)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS check TIMEOUT 600)
endfunction()

if(NOT MODELOUT_SANITIZE)
  if(Python3_FOUND)
    set(python ${Python3_EXECUTABLE} -B)
    mo_add_check(check_layers ${python} scripts/check-layers ${PROJECT_SOURCE_DIR})
    mo_add_check(check_layers_self_test ${python} scripts/check-layers --self-test)
    mo_add_check(check_ranges ${python} scripts/check-ranges ${CMAKE_C_COMPILER})
    mo_add_check(check_ranges_self_test ${python} scripts/check-ranges --self-test)
    mo_add_check(check_ctypes ${python} scripts/check-ctypes ${CMAKE_C_COMPILER})
    mo_add_check(check_gpu_scripts ${python} scripts/check-gpu-scripts)
    if(MODELOUT_KIND STREQUAL SHARED)
      mo_add_check(check_exports ${python} scripts/check-exports $<TARGET_FILE:modelout> ${PROJECT_SOURCE_DIR})
    endif()
    mo_add_check(check_headers ${python} scripts/check-headers ${CMAKE_C_COMPILER} ${CMAKE_CXX_COMPILER})
  endif()
  if(MODELOUT_KIND STREQUAL SHARED) # check_linking makes the static one itself
    mo_add_check(check_install scripts/check-install ${PROJECT_BINARY_DIR})
    mo_add_check(check_linking scripts/check-linking ${PROJECT_BINARY_DIR})
    set_tests_properties(check_linking PROPERTIES TIMEOUT 1200 PROCESSORS 2)
  endif()
  # The machine code of arithmetic that kernels share; skipped where there is no nvcc.
  if(Python3_FOUND)
    mo_add_check(check_contraction ${python} scripts/check-contraction)
    set_tests_properties(check_contraction PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1800)
  endif()
  # Compiles every kernel for sm_80; skipped where there is no nvcc.
  mo_add_check(kernel_resources scripts/kernel-resources)
  set_tests_properties(kernel_resources PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1800 PROCESSORS 2)
endif()

# The fuzz targets' seeds are tests of every build.
if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/CMakeLists.txt)
  add_subdirectory(fuzz)
endif()

# The command's own tests start the command.
if(TARGET command_test AND TARGET modelout_command)
  add_dependencies(command_test modelout_command)
  add_dependencies(generate_command_test modelout_command)
endif()
