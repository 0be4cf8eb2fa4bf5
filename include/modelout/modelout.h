/* modelout/modelout.h - everything. The headers are the manual; read them in this order.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_MODELOUT_H
#define MODELOUT_MODELOUT_H

#include "modelout/version.h"

#include "modelout/context.h"
#include "modelout/dtype.h"
#include "modelout/status.h"
#include "modelout/tensor.h"

#include "modelout/class.h"
#include "modelout/field.h"
#include "modelout/output.h"
#include "modelout/output_classes.h"
#include "modelout/request.h"
#include "modelout/safetensors.h"

#include "modelout/attention.h"
#include "modelout/attention_merge.h"
#include "modelout/cast.h"
#include "modelout/convolution.h"
#include "modelout/decode_attention.h"
#include "modelout/embedding.h"
#include "modelout/gate.h"
#include "modelout/kv_update.h"
#include "modelout/linear.h"
#include "modelout/loss.h"
#include "modelout/norm.h"
#include "modelout/pooling.h"
#include "modelout/pooling2d.h"
#include "modelout/position_bias.h"
#include "modelout/rotary.h"
#include "modelout/sampling.h"
#include "modelout/score_edit.h"
#include "modelout/softmax.h"
#include "modelout/sum.h"
#include "modelout/topk.h"

#include "modelout/cache.h"

#include "modelout/generate.h"
#include "modelout/model.h"
#include "modelout/sentence.h"
#include "modelout/tokenizer.h"

#include "modelout/backend.h"

#endif
