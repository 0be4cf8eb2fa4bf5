/* modelout/export.h - symbol visibility. Every public function is marked MO_API; everything else is hidden.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_EXPORT_H
#define MODELOUT_EXPORT_H

#if defined(MO_STATIC_LIBRARY) /* while the library itself is compiled to be linked statically */
#define MO_API
#elif defined(__GNUC__)
#define MO_API __attribute__((visibility("default")))
#else
#define MO_API
#endif

#if defined(__GNUC__)
/* Checks printf-style arguments at compile time. */
#define MO_PRINTF_FORMAT(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
#else
#define MO_PRINTF_FORMAT(format_index, first_argument)
#endif

/* Initialises a struct that begins with struct_size; every other member is 0 (but those named). C++17 has no designated
 * initialisers, so there it is a function on the spot. */
#ifdef __cplusplus
#define MO_STRUCT_INIT(type)                                                                                                   \
  ([]() {                                                                                                                      \
    type mo_init_ = {};                                                                                                        \
    mo_init_.struct_size = sizeof(type);                                                                                       \
    return mo_init_;                                                                                                           \
  }())
#define MO_STRUCT_INIT_WITH(type, member, member_value)                                                                        \
  ([]() {                                                                                                                      \
    type mo_init_ = {};                                                                                                        \
    mo_init_.struct_size = sizeof(type);                                                                                       \
    mo_init_.member = member_value;                                                                                            \
    return mo_init_;                                                                                                           \
  }())
#define MO_STRUCT_INIT_WITH_TWO(type, member, member_value, other, other_value)                                                \
  ([]() {                                                                                                                      \
    type mo_init_ = {};                                                                                                        \
    mo_init_.struct_size = sizeof(type);                                                                                       \
    mo_init_.member = member_value;                                                                                            \
    mo_init_.other = other_value;                                                                                              \
    return mo_init_;                                                                                                           \
  }())
#else
#define MO_STRUCT_INIT(type)                                                                                                   \
  { .struct_size = sizeof(type) }
#define MO_STRUCT_INIT_WITH(type, member, member_value)                                                                        \
  { .struct_size = sizeof(type), .member = (member_value) }
#define MO_STRUCT_INIT_WITH_TWO(type, member, member_value, other, other_value)                                                \
  { .struct_size = sizeof(type), .member = (member_value), .other = (other_value) }
#endif

#endif
