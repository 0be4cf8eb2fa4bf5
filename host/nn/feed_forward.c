/* host/nn/feed_forward.c - loading and running the feed-forward of a layer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/feed_forward.h"

#include "modelout/gate.h"

mo_status_t mo_feed_forward_load(mo_feed_forward *block, mo_loader *loader, const char *prefix,
                                 const mo_feed_forward_names *names, const mo_feed_forward_config *config,
                                 mo_feed_forward_kind_t kind, int64_t width) {
  const bool gated = kind == MO_FEED_FORWARD_GATED;
  const bool fused = gated && names->gate_up != NULL;
  const char *const stems[2] = {fused ? names->gate_up : gated ? names->gate : names->intermediate, names->up};
  const mo_dense_rule inner = {.rows = {fused ? 2 * config->size : config->size, gated && !fused ? config->size : 0},
                               .columns = width,
                               .lacks_bias = config->lacks_bias,
                               .layout = config->layout};
  const mo_dense_rule output = {
      .rows = {width}, .columns = config->size, .lacks_bias = config->lacks_bias, .layout = config->layout};
  block->kind = kind;
  MO_TRY(mo_load_dense(loader, prefix, stems, &inner, &block->inner));
  return mo_load_dense(loader, prefix, &names->output, &output, &block->output);
}

void mo_feed_forward_release(mo_feed_forward *block) {
  mo_dense_release(&block->inner);
  mo_dense_release(&block->output);
}

/* activation(gate) * up, in place of the gate. Both are columns of `product`, which becomes those of the result. */
static mo_status_t apply_gate(const mo_pass *pass, const mo_feed_forward_config *config, mo_tensor *product) {
  product->shape[1] = config->size;
  mo_tensor up = *product;
  up.data = (char *)product->data + (size_t)config->size * mo_dtype_bytes(product->dtype);
  mo_gate_params params = MO_GATE_PARAMS_INIT;
  params.output = product;
  params.gate = product;
  params.input = &up;
  params.activation = config->activation;
  return mo_gate(pass->context, &params);
}

mo_status_t mo_feed_forward_forward(const mo_feed_forward *block, const mo_pass *pass, const mo_feed_forward_config *config,
                                    const mo_tensor *output, const mo_tensor *input, const mo_tensor *residual) {
  const bool gated = block->kind == MO_FEED_FORWARD_GATED;
  const mo_activation_t activation = gated ? MO_ACTIVATION_NONE : config->activation;
  mo_tensor inner = mo_pass_tokens(pass, pass->wide, mo_feed_forward_wide_size(config, block->kind));
  MO_TRY(mo_dense_apply(pass->context, &block->inner, activation, &inner, input, NULL));
  if (gated) MO_TRY(apply_gate(pass, config, &inner));
  return mo_dense_apply(pass->context, &block->output, MO_ACTIVATION_NONE, output, &inner, residual);
}
