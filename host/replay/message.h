/* host/replay/message.h - room for the sentence of what went wrong.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_REPLAY_MESSAGE_H
#define MO_REPLAY_MESSAGE_H

#define MO_REPLAY_MESSAGE_BYTES 512

#endif
