# Compiler flags: one place, each with its reason.

function(mo_target_defaults target)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla>
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow>)
  if(MODELOUT_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  # The pragmas "omp simd" alone: no OpenMP runtime comes with them.
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:-fopenmp-simd>)
  # Strict C11 hides POSIX; the host side needs mmap, pthreads and getopt_long.
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE $<$<NOT:$<BOOL:${MODELOUT_NVTX}>>:MO_NO_RANGES>)
  mo_target_sanitize(${target})
endfunction()

function(mo_target_sanitize target)
  if(MODELOUT_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${MODELOUT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PRIVATE -fsanitize=${MODELOUT_SANITIZE})
  endif()
endfunction()

# The tests' own code. Its optimiser has little to find and takes long over GoogleTest's macros. In a sanitizer build those are
# references all over, and checking each of them for null and alignment takes three times as long as all the rest; the library
# keeps every check.
function(mo_target_test_code target)
  target_compile_options(${target} PRIVATE $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CONFIG:Release>>:-O1>)
  if(MODELOUT_SANITIZE STREQUAL "thread") # few of its cases are about threads: compiled for longer than they run
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-O0>)
  endif()
  if(MODELOUT_SANITIZE MATCHES "undefined")
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=null,alignment,object-size,vptr>)
  endif()
endfunction()

# Compiles each CPU kernel file once per instruction set and adds the objects to `target`. See host/cpu/simd.h.
function(mo_add_cpu_kernels target)
  set(sources ${ARGN})
  if(NOT sources)
    return()
  endif()
  set(isas generic)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(APPEND isas avx2 avx512)
  endif()
  set(flags_generic "")
  set(flags_avx2 -DMO_SIMD_AVX2 -mavx2 -mfma -mf16c)
  set(flags_avx512 -DMO_SIMD_AVX512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512)
  set(optimise -O3)
  if(MODELOUT_SANITIZE)
    set(optimise "") # -O3 of instrumented code compiles six times as long
  endif()
  foreach(isa IN LISTS isas)
    set(library ${target}_${isa})
    add_library(${library} OBJECT ${sources})
    mo_target_defaults(${library})
    target_include_directories(${library} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
    # Contraction to fused multiply-add is on in GNU C and off in ISO C; the kernels want it. No other relaxed mathematics.
    # GNU vector extensions return vectors in registers the baseline lacks: -Wno-psabi is about an ABI no one else sees.
    # What Clang cannot unroll or vectorise as a pragma asks runs all the same: no error.
    target_compile_options(${library} PRIVATE ${flags_${isa}} ${optimise} -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wno-psabi
                                              $<$<C_COMPILER_ID:Clang>:-Wno-pass-failed>)
    target_sources(${target} INTERFACE $<TARGET_OBJECTS:${library}>)
  endforeach()
endfunction()
