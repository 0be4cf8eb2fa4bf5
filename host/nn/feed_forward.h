/* host/nn/feed_forward.h - the feed-forward of a layer.
 *
 *   dense    output(activation(intermediate(x)))
 *   gated    output(activation(gate(x)) * up(x)), the gate and the up projection being one product
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_FEED_FORWARD_H
#define MO_NN_FEED_FORWARD_H

#include "host/nn/dense.h"
#include "host/nn/pass.h"

typedef enum mo_feed_forward_kind_t { MO_FEED_FORWARD_DENSE = 0, MO_FEED_FORWARD_GATED } mo_feed_forward_kind_t;

typedef struct mo_feed_forward_config {
  int64_t size; /* of the inner layer */
  mo_activation_t activation;
  bool lacks_bias;
  mo_dense_layout_t layout;
} mo_feed_forward_config;

/* Behind the layer's prefix, without ".weight" and ".bias". NULL: no layer of that kind. */
typedef struct mo_feed_forward_names {
  const char *intermediate; /* of the dense kind */
  const char *gate, *up;    /* of the gated kind, or */
  const char *gate_up;      /* one layer: the gate's rows, then the others */
  const char *output;
} mo_feed_forward_names;

typedef struct mo_feed_forward {
  mo_feed_forward_kind_t kind;
  mo_dense inner; /* gated: the gate's rows, then those of the up projection */
  mo_dense output;
} mo_feed_forward;

/* `width` is that of the hidden state. */
mo_status_t mo_feed_forward_load(mo_feed_forward *block, mo_loader *loader, const char *prefix,
                                 const mo_feed_forward_names *names, const mo_feed_forward_config *config,
                                 mo_feed_forward_kind_t kind, int64_t width);
void mo_feed_forward_release(mo_feed_forward *block);

/* Elements per token of its temporaries, in pass->wide. */
static inline int64_t mo_feed_forward_wide_size(const mo_feed_forward_config *config, mo_feed_forward_kind_t kind) {
  return kind == MO_FEED_FORWARD_GATED ? 2 * config->size : config->size;
}

/* output = block(input) + residual; residual may be NULL, or output. */
mo_status_t mo_feed_forward_forward(const mo_feed_forward *block, const mo_pass *pass, const mo_feed_forward_config *config,
                                    const mo_tensor *output, const mo_tensor *input, const mo_tensor *residual);

#endif
