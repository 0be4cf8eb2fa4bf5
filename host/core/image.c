/* host/core/image.c - pins the image the library lies in.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/image.h"

#include <dlfcn.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The handle is not closed: NODELETE would hold the image all the same. The program itself is found under no name that dlopen
 * would take, and needs none: it is never unloaded. */
static void pin(void) {
  Dl_info info;
  if (dladdr((const void *)&once, &info) == 0 || info.dli_fname == NULL) return;
  (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

void mo_image_pin(void) { pthread_once(&once, pin); }
