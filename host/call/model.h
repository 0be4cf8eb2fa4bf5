/* host/call/model.h - a loaded model.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CALL_MODEL_H
#define MO_CALL_MODEL_H

#include "host/call/family.h"
#include "host/checkpoint/checkpoint.h"

/* What heads and generation ask of a base model, whatever it is. */
typedef struct mo_base_facts {
  int64_t hidden_size;    /* of the hidden states between the layers */
  int64_t output_size;    /* of the last one */
  int64_t vocab_size;     /* 0: no tokens */
  int64_t embedding_size; /* of a row of `words` */
  mo_activation_t activation;
  float epsilon;              /* of its norms */
  float logit_cap;            /* logits become cap tanh(logit / cap); 0: they stay */
  int64_t padding_id, end_id; /* MO_NO_TOKEN, -1: none */
  int64_t max_length;         /* tokens a sequence may have; -1: no end */
  int64_t position_count;     /* what the configuration gives for it, whether that is an end or not */
  bool has_encoder;           /* beside a decoder, whose inputs and states are then named "decoder_..." */
  bool decoder;               /* causal, with a cache */
  const mo_tensor *words;     /* the word table, which a head may be tied to; NULL: none */
} mo_base_facts;

struct mo_model {
  mo_context_t *context;
  mo_config_t *config, *generation_config; /* the latter NULL without generation_config.json */
  mo_checkpoint_t *checkpoint;             /* for its lists of names; its files are open while weights are mapped */
  const mo_family *family;
  mo_architecture architecture;
  const mo_class *output_class;
  mo_framework_t framework;
  mo_dtype_t dtype;
  void *base; /* family->base->bytes of them */
  mo_base_facts facts;
  void *head; /* architecture.head->bytes of them */
  int64_t label_count;
  bool legacy_tensorflow_loss; /* config.json's tf_legacy_loss: a loss per label, not their mean */
  const char *problem_type; /* NULL: by the number of labels and their dtype */
  int64_t parameter_count;
  /* Grown when a run needs more, so a repeated shape never allocates. `staging` is pinned memory for inputs on their way to a
   * device with memory of its own. */
  void *workspace;
  size_t workspace_bytes;
  void *staging;
  size_t staging_bytes;
  mo_event staged; /* after the last copies out of `staging`; NULL before the first */
};

/* Whether the host can look at a tensor's values. */
static inline bool mo_model_can_read(const mo_model_t *model, const mo_tensor *tensor) {
  return tensor->device.kind == MO_DEVICE_KIND_CPU || mo_context_memory_is_host(model->context);
}

#endif
