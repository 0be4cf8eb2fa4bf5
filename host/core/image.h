/* host/core/image.h - keeps the code of this library in the process once it has begun to work.
 *
 * Threads that ops start, and what they leave behind (thread-local storage, exit handlers), outlive the call, and a program may
 * unload the plugin that brought the library: dlclose would take the code from under threads that wait in it. libmodelout.so is
 * linked with -z nodelete; a static library lies in an image that knows nothing of this, so the image is pinned when it is
 * used.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_IMAGE_H
#define MO_CORE_IMAGE_H

#ifdef __cplusplus
extern "C" {
#endif

/* The image that holds this function (a shared library; nothing for the program itself), and with it all it depends on, stays
 * loaded to the end of the process. To be called before anything that outlives a call is started; every context does.
 * Thread-safe, cheap after the first call. */
void mo_image_pin(void);

#ifdef __cplusplus
}
#endif

#endif
